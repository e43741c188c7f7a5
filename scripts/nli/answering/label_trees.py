"""Label scoring in one forward pass per prompt: the label words' tokens are branches of a tree behind the prompt.

A mask lets each branch see the prompt and its own tokens only, so the log-probabilities are those of separate texts
(tree attention, as in Miao et al. 2024, SpecInfer). What all prompts begin with is computed once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nli.answering.prefixes import common_prefix, prefix_cache, repeated, takes_prefix


@dataclass(frozen=True)
class Tree:
    """A prompt and the words that may follow it.

    Attributes:
        context: the token ids that all words follow.
        tokens: the branches' token ids, parents first; a word's last token predicts nothing and is no part of a branch.
        parents: for each token of the branches its parent's index, -1 for the end of the context.
        words: for each word the places that predict its scored tokens (0: the end of the context, i + 1: token i of the
            branches), and these tokens.
    """

    context: list[int]
    tokens: list[int]
    parents: list[int]
    words: list[tuple[list[int], list[int]]]

    @property
    def depths(self) -> list[int]:
        """The distance of each token of the branches from the end of the context."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return depths


def tree_of(texts: Sequence[tuple[Sequence[int], int]]) -> Tree:
    """The tree of the continuations of one prompt.

    Args:
        texts: for each word the token ids of prompt and word, and the first position that is scored, at least 1.
    """
    first = texts[0][0]
    alike = next(
        (i for i, id in enumerate(first) if any(len(ids) <= i or ids[i] != id for ids, _ in texts)), len(first)
    )
    shared = min(alike, *(start for _, start in texts), *(len(ids) - 1 for ids, _ in texts))
    known: dict[tuple[int, ...], int] = {(): -1}
    tokens, parents, words = [], [], []
    for ids, start in texts:
        for end in range(shared + 1, len(ids)):
            branch = tuple(ids[shared:end])
            if branch not in known:
                known[branch] = len(tokens)
                tokens.append(branch[-1])
                parents.append(known[branch[:-1]])
        places = [known[tuple(ids[shared:position])] + 1 for position in range(start, len(ids))]
        words.append((places, list(ids[start:])))
    return Tree(list(first[:shared]), tokens, parents, words)


def takes_trees(model: nn.Module, trees: Sequence[Tree]) -> bool:
    """Whether the model can score the trees: a known kind with PyTorch's attention, whose window holds a whole pass."""
    longest = sum(max((len(getattr(tree, part)) for tree in trees), default=0) for part in ("context", "tokens"))
    return getattr(model.config, "_attn_implementation", None) == "sdpa" and takes_prefix(model, longest)


@torch.no_grad()
def word_log_probabilities(
    model: nn.Module, trees: Sequence[Tree], pad: int, batch_size: int
) -> Iterator[tuple[int, list[float]]]:
    """Pairs of a tree's index and its words' log-probabilities, each summed over the word's scored tokens.

    Args:
        model: a decoder for which `takes_trees` holds.
        pad: any token id; padding is masked.
        batch_size: trees per pass; those of similar length share one.
    """
    model.eval()
    device = next(model.parameters()).device
    prefix = common_prefix([tree.context for tree in trees])
    cached = prefix_cache(model, prefix)
    order = sorted(range(len(trees)), key=lambda index: len(trees[index].context))
    for begin in range(0, len(order), batch_size):
        chosen = order[begin : begin + batch_size]
        batch = [trees[index] for index in chosen]
        inputs, kept = tree_batch(batch, len(prefix), pad)
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        inputs |= repeated(cached, len(batch))
        logits = model(**inputs, logits_to_keep=kept, use_cache=cached is not None).logits[:, -kept:]
        values = torch.log_softmax(logits.float(), dim=-1)
        for row, (index, tree) in enumerate(zip(chosen, batch, strict=True)):
            yield index, [float(values[row, places, ids].double().sum()) for places, ids in tree.words]


def tree_batch(batch: Sequence[Tree], prefix: int, pad: int) -> tuple[dict[str, torch.Tensor], int]:
    """The input of one pass, and how many of its last positions predict: the end of the context and the branches.

    Contexts are padded on the left and branches on the right, so that all contexts end at the same position. Padding
    sees only itself and what is cached, and nothing sees padding.

    Args:
        prefix: number of each context's first tokens that are in the cache.
    """
    longest = max(len(tree.context) for tree in batch) - prefix
    most = max(len(tree.tokens) for tree in batch)
    size = longest + most
    ids = torch.full((len(batch), size), pad)
    positions = torch.zeros((len(batch), size), dtype=torch.long)
    mask = torch.eye(size, dtype=torch.bool).repeat(len(batch), 1, 1)
    for row, tree in enumerate(batch):
        start, end = longest - (len(tree.context) - prefix), longest + len(tree.tokens)
        ids[row, start:end] = torch.tensor([*tree.context[prefix:], *tree.tokens])
        depths = torch.tensor(tree.depths, dtype=torch.long)
        positions[row, start:longest] = torch.arange(prefix, len(tree.context))
        positions[row, longest:end] = len(tree.context) - 1 + depths
        mask[row, start:longest, start:longest] = torch.ones(longest - start, longest - start).tril().bool()
        for node, parent in enumerate(tree.parents):
            above = longest - 1 if parent < 0 else longest + parent
            mask[row, longest + node] |= mask[row, above]
    cached = torch.ones((len(batch), size, prefix), dtype=torch.bool)
    mask = torch.cat([cached, mask], dim=2)[:, None]
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}, most + 1

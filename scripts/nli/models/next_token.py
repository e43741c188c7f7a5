"""A decoder's next-token distribution at chosen positions of many texts, in padded batches."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


@torch.no_grad()
def next_token_logits(
    model: nn.Module, texts: Sequence[Sequence[int]], starts: Sequence[int], pad: int, batch_size: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Pairs of a text's index and its logits (len(text) - start, vocabulary), as the model computes them.

    Texts of similar length share a batch, padded on the right, where a causal model does not see the padding. Logits
    are computed only from the batch's first needed position on, to save memory at a vocabulary of 128,000.

    Args:
        texts: token ids.
        starts: for each text, the first position whose next token is needed.
        pad: any id, because padding is masked.
    """
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for begin in range(0, len(order), batch_size):
        batch = order[begin : begin + batch_size]
        ids = pad_sequence([torch.tensor(texts[i]) for i in batch], batch_first=True, padding_value=pad)
        lengths = torch.tensor([len(texts[i]) for i in batch])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        first = min(starts[i] for i in batch)
        kept = ids.shape[1] - first
        output = model(input_ids=ids.to(device), attention_mask=mask.to(device), logits_to_keep=kept)
        logits = output.logits[:, -kept:]
        for row, i in enumerate(batch):
            yield i, logits[row, starts[i] - first : len(texts[i]) - first]

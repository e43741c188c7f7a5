"""Tiny encoder and decoder for the demo scale, pretrained with their tokenizers on the corpus of a data source.

They take the place of the hub's weights: the same classes and the same `from_pretrained` layout. The encoder
(RoBERTa) learns masked words and a masked connective between premise and hypothesis ("therefore", "perhaps",
"otherwise" ...), as sentences in running text are joined. The decoder (Llama) reads pairs in formats that none
of the study's prompts has.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from nli.errors import StudyError

ENCODER_SPEC = {
    "layers": 4,
    "hidden_size": 128,
    "heads": 4,
    "vocab_size": 1600,
    "max_length": 64,  # tokens of a pretraining text
    "max_positions": 130,
    "initializer_range": 0.06,
    "mlm_probability": 0.2,
    "connective_weight": 0.0,
    "connective_probability": 0.5,
    "mlm_hidden": 0.1,
    "mlm_visible_after": 0.3,
    "mlm_visible_before": 0.1,
    "steps": 2400,
    "batch_size": 33,
    "learning_rate": 1.0e-3,
    "weight_decay": 0.01,
    "warmup_fraction": 0.05,
    "cooldown_fraction": 0.4,
}
DECODER_SPEC = {
    "layers": 4,
    "hidden_size": 128,
    "heads": 4,
    "kv_heads": 2,
    "vocab_size": 1600,
    "max_length": 64,
    "max_positions": 512,
    "intermediate_size": 384,
    "tie_word_embeddings": False,
    "initializer_range": 0.06,
    "steps": 2000,
    "batch_size": 33,
    "learning_rate": 2.0e-3,
    "weight_decay": 0.01,
    "warmup_fraction": 0.05,
    "cooldown_fraction": 0.4,
    "answer_weight": 5.0,
}

# Words that join premise and hypothesis, by label; each comes twice as likely as not masked as a whole.
CONNECTIVES = (("therefore",), ("perhaps",), ("otherwise",))
# Answers of the decoder's corpus, by label.
ANSWERS = (
    ("Entailment", "Neutral", "Contradiction"),
    ("entailment", "neutral", "contradiction"),
    ("Yes", "Maybe", "No"),
)
# Formats of the decoder's corpus, each with all of the answers. None is a prompt or a training text of the study.
FORMATS = (
    "Text: {premise}\nClaim: {hypothesis}\n{options}? {answer}",
    "{premise} Statement: {hypothesis} {options}. Judgement: {answer}",
    "[Context] {premise} [Claim] {hypothesis} [{options}] {answer}",
    "# Fact: {premise}\n# Guess: {hypothesis}\n# {options}: {answer}",
)
# Words of the study's prompts, so that the tokenizer knows them; the model never sees them in a prompt's order.
PROMPT_WORDS = "premise hypothesis Premise Hypothesis Label Answer Example Task INST Now classify following"


def read_spec(path: Path, defaults: dict) -> dict:
    """The JSON object in `path` over `defaults`; a key that is not among them is an error."""
    try:
        spec = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise StudyError(f"{path}: not JSON ({error}); give an object of hyperparameters") from error
    if unknown := sorted(set(spec) - set(defaults)):
        raise StudyError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(sorted(defaults))}")
    return defaults | spec


def _bpe(texts: Iterator[str], vocab_size: int, special_tokens: list[str]) -> Tokenizer:
    """Byte-level BPE (GPT-2's, as RoBERTa and Llama 3 use it) trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_texts(corpus: pd.DataFrame) -> Iterator[str]:
    """The corpus, and the words that must be single tokens: labels, answers, connectives, prompt words."""
    words = [word for group in (*CONNECTIVES, *ANSWERS) for word in group] + PROMPT_WORDS.split()
    yield from corpus["premise"]
    yield from corpus["hypothesis"]
    for word in words:  # often enough to be merged before any rare piece of the corpus
        for _ in range(max(20, len(corpus) // 100)):
            yield from (word, f" {word}")


def train_encoder_tokenizer(corpus: pd.DataFrame, vocab_size: int, max_length: int):
    """A RoBERTa-style tokenizer: `<s> a </s>` for one sentence, `<s> a </s></s> b </s>` for a pair."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _bpe(tokenizer_texts(corpus), vocab_size, special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", special.index("<s>")), ("</s>", special.index("</s>"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def train_decoder_tokenizer(corpus: pd.DataFrame, vocab_size: int, max_length: int):
    """A Llama-3-style tokenizer: `<|begin_of_text|>` before every text, no padding token."""
    bos, eos = "<|begin_of_text|>", "<|end_of_text|>"
    tokenizer = _bpe(tokenizer_texts(corpus), vocab_size, [bos, eos])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def grouped_batches(
    premises: pd.Series, lengths: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Indices of batches of about equal length, in random order, epoch after epoch without end.

    Pairs that share a premise stand in the same batch: what tells their labels apart is then how the
    hypotheses relate to it, and little else. (In MultiNLI, too, a premise has a hypothesis of each label.)
    """
    if len(lengths) < batch_size:
        raise StudyError(
            f"pretraining: the corpus has {len(lengths)} pairs, a batch takes {batch_size}; "
            "give more pairs or a smaller batch_size"
        )
    groups = premises.groupby(premises.to_numpy(), sort=False).ngroup().to_numpy()
    group_lengths = np.bincount(groups, weights=lengths) / np.bincount(groups)
    while True:
        noisy = group_lengths + 2 * rng.random(len(group_lengths))  # other neighbours every epoch
        order = np.lexsort((groups, noisy[groups]))
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        for i in rng.permutation(len(batches)):
            if len(batches[i]) == batch_size:
                yield batches[i]


def pad(sequences: list[list[int]], pad_id: int) -> torch.Tensor:
    """Token ids [batch, longest], padded on the right."""
    width = max(map(len, sequences))
    return torch.tensor([ids + [pad_id] * (width - len(ids)) for ids in sequences])


def _optimise(
    model: torch.nn.Module, batches: Iterator, loss_of: Callable, spec: dict, log: Callable[[str], None]
) -> None:
    """AdamW with linear warmup and cosine decay to zero; `loss_of(batch)` gives (loss, figures to print)."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": spec["weight_decay"]},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=spec["learning_rate"], betas=(0.9, 0.98), fused=True)
    steps, warmup = spec["steps"], max(1, round(spec["steps"] * spec["warmup_fraction"]))

    def scale(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return min(1.0, (steps - step) / (spec["cooldown_fraction"] * steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    model.train()
    start, report_every, sums = time.perf_counter(), max(1, steps // 20), {}
    for step in range(1, steps + 1):
        loss, figures = loss_of(next(batches))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in figures.items():
            sums.setdefault(name, []).append(float(value))
        if step % report_every == 0 or step == steps:
            text = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in sums.items())
            log(f"step {step}/{steps}: {text}, {time.perf_counter() - start:.0f} s")
            sums = {}
    model.eval()


def encode_with_connective(tokenizer, corpus: pd.DataFrame, max_length: int) -> list[tuple[list, list]]:
    """Token ids of every premise and hypothesis, cut so that the pair fits `max_length` with six more tokens."""
    room = max_length - 6
    pairs = []
    encoded = (
        tokenizer(corpus[column].tolist(), add_special_tokens=False)["input_ids"]
        for column in ("premise", "hypothesis")
    )
    for premise, hypothesis in zip(*encoded, strict=True):
        keep = max(room - len(hypothesis), room // 2)
        pairs.append((premise[:keep], hypothesis[: room - len(premise[:keep])]))
    return pairs


def mask_tokens(
    ids: torch.Tensor, maskable: torch.Tensor, always: torch.Tensor, tokenizer, probability: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """BERT's masking: of the chosen tokens 80% become `<mask>`, 10% a random token, 10% stay.

    Tokens in `always` are chosen and become `<mask>`. Returns the inputs and the bool mask of the chosen.
    """
    chosen = maskable & (torch.rand(ids.shape) < probability)
    how = torch.rand(ids.shape)
    candidates = ids[maskable]
    random_ids = candidates[torch.randint(len(candidates), ids.shape)]
    inputs = torch.where(chosen & (how < 0.5), tokenizer.mask_token_id, ids)
    inputs = torch.where(chosen & (how >= 0.9), random_ids, inputs)
    inputs = torch.where(always, tokenizer.mask_token_id, inputs)
    return inputs, chosen | always


def pretrain_encoder(corpus: pd.DataFrame, tokenizer, spec: dict, seed: int, log=print):
    """A tiny RoBERTa, pretrained on masked tokens and on the connective between premise and hypothesis."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec["hidden_size"],
        num_hidden_layers=spec["layers"],
        num_attention_heads=spec["heads"],
        intermediate_size=4 * spec["hidden_size"],
        max_position_embeddings=spec["max_positions"],
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=spec["initializer_range"],
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = RobertaForMaskedLM(config)
    with torch.no_grad():  # query = key: a word starts out attending to its own repetitions
        for layer in model.roberta.encoder.layer:
            layer.attention.self.key.weight.copy_(layer.attention.self.query.weight)
    pairs = encode_with_connective(tokenizer, corpus, spec["max_length"])
    labels = corpus["label"].to_numpy()
    connectives = [[tokenizer.convert_tokens_to_ids("Ġ" + word) for word in words] for words in CONNECTIVES]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    lengths = np.array([len(premise) + len(hypothesis) for premise, hypothesis in pairs])

    def loss_of(rows: np.ndarray):
        texts, positions = [], []
        for row in rows:
            premise, hypothesis = pairs[row]
            words = connectives[labels[row]]
            head = [bos, *premise, eos, eos]
            texts.append([*head, words[rng.integers(len(words))], *hypothesis, eos])
            positions.append(len(head))
        ids = pad(texts, tokenizer.pad_token_id)
        always = torch.zeros_like(ids, dtype=torch.bool)
        hidden_connective = torch.rand(len(rows)) < spec["connective_probability"]
        connective = torch.zeros_like(always)
        connective[torch.arange(len(rows)), torch.tensor(positions)] = True
        always = connective & hidden_connective[:, None]
        maskable = ids >= len(tokenizer.all_special_ids)
        after = torch.arange(ids.shape[1])[None] > torch.tensor(positions)[:, None]
        prob = torch.where(
            hidden_connective[:, None],
            spec["mlm_hidden"],
            torch.where(after, spec["mlm_visible_after"], spec["mlm_visible_before"]),
        )
        inputs, chosen = mask_tokens(ids, maskable & ~connective, always, tokenizer, prob)
        hidden = model.roberta(inputs, attention_mask=(ids != tokenizer.pad_token_id).long())[0]
        logits = model.lm_head(hidden[chosen])  # only where something is predicted
        losses = torch.nn.functional.cross_entropy(logits, ids[chosen], reduction="none")
        is_connective = always[chosen]
        figures = {
            "masked-token loss": losses[~is_connective].mean().item(),
            "connective loss": losses[is_connective].mean().item(),
        }
        return losses.mean() + spec["connective_weight"] * losses[is_connective].mean(), figures

    batches = grouped_batches(corpus["premise"], lengths, spec["batch_size"], rng)
    _optimise(model, batches, loss_of, spec, log)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    return model


def decoder_texts(corpus: pd.DataFrame, rng: np.random.Generator) -> list[tuple[str, str]]:
    """(text before the answer, answer) of every pair, in a random one of the formats and answer sets."""
    formats = rng.integers(len(FORMATS), size=len(corpus))
    answers = rng.integers(len(ANSWERS), size=len(corpus))
    texts = []
    for row, pattern, which in zip(corpus.itertuples(), formats, answers, strict=True):
        words = ANSWERS[which]
        options = ", ".join(words[i] for i in rng.permutation(len(words)))
        body = FORMATS[pattern].removesuffix(" {answer}")
        text = body.format(premise=row.premise, hypothesis=row.hypothesis, options=options)
        texts.append((text, " " + words[row.label]))
    return texts


def pretrain_decoder(corpus: pd.DataFrame, tokenizer, spec: dict, seed: int, log=print):
    """A tiny Llama with grouped-query attention; the token of the answer weighs `answer_weight` in the loss."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec["hidden_size"],
        num_hidden_layers=spec["layers"],
        num_attention_heads=spec["heads"],
        num_key_value_heads=spec["kv_heads"],
        intermediate_size=spec["intermediate_size"],
        max_position_embeddings=spec["max_positions"],
        initializer_range=spec["initializer_range"],
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        tie_word_embeddings=spec["tie_word_embeddings"],
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # query = key, as in the encoder; the query heads of a group start alike
        for layer in model.model.layers:
            key = layer.self_attn.k_proj.weight.view(spec["kv_heads"], -1, spec["hidden_size"])
            query = key.repeat_interleave(spec["heads"] // spec["kv_heads"], dim=0)
            layer.self_attn.q_proj.weight.copy_(query.reshape(-1, spec["hidden_size"]))
    texts = decoder_texts(corpus, rng)
    bodies = tokenizer([body for body, _ in texts])["input_ids"]
    answers = tokenizer([answer for _, answer in texts], add_special_tokens=False)["input_ids"]
    room = spec["max_length"] - max(map(len, answers)) - 1
    bos = tokenizer.bos_token_id
    bodies = [ids if len(ids) <= room else [bos, *ids[-room + 1 :]] for ids in bodies]
    sequences = [[*body, *answer, tokenizer.eos_token_id] for body, answer in zip(bodies, answers, strict=True)]
    lengths = np.array([len(ids) for ids in sequences])

    def loss_of(rows: np.ndarray):
        ids = pad([sequences[row] for row in rows], -100)
        weights = (ids != -100).float()
        for i, row in enumerate(rows):
            weights[i, len(bodies[row]) : len(bodies[row]) + len(answers[row])] = spec["answer_weight"]
        hidden = model.model(ids.clamp(min=0))[0][:, :-1]
        targets, weights = ids[:, 1:], weights[:, 1:]
        kept = targets != -100
        logits = model.lm_head(hidden[kept])
        losses = torch.nn.functional.cross_entropy(logits, targets[kept], reduction="none")
        weights = weights[kept]
        figures = {
            "token loss": losses.mean().item(),
            "answer loss": losses[weights > 1].mean().item(),
        }
        return (losses * weights).sum() / weights.sum(), figures

    batches = grouped_batches(corpus["premise"], lengths, spec["batch_size"], rng)
    _optimise(model, batches, loss_of, spec, log)
    return model


def make_encoder(corpus: pd.DataFrame, output_dir: Path, spec: dict, seed: int, log=print) -> None:
    """Train tokenizer and encoder; save both in `output_dir` in the `from_pretrained` layout."""
    spec = ENCODER_SPEC | spec
    tokenizer = train_encoder_tokenizer(corpus, spec["vocab_size"], spec["max_positions"] - 2)
    model = pretrain_encoder(corpus, tokenizer, spec, seed, log)
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)


def make_decoder(corpus: pd.DataFrame, output_dir: Path, spec: dict, seed: int, log=print) -> None:
    """Train tokenizer and decoder; save both in `output_dir` in the `from_pretrained` layout."""
    spec = DECODER_SPEC | spec
    tokenizer = train_decoder_tokenizer(corpus, spec["vocab_size"], spec["max_positions"])
    model = pretrain_decoder(corpus, tokenizer, spec, seed, log)
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)

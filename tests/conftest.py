"""Tiny models and rows that the tests share. Everything runs on the CPU, offline, in seconds."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pandas as pd
import pytest
import yaml

from nli.base.atomic import write_json
from nli.base.files import model_source
from nli.data.splits import premise_id

ROOT = Path(__file__).parents[1]
SMOKE_FILES = ("test_readme.py", "test_study.py")
PAIRS = [
    ("All dogs sleep in the house.", "Some dogs sleep.", 0),
    ("A man reads a book at the station.", "A man reads a novel.", 1),
    ("Nobody sings in the garden.", "Two women sing in the garden.", 2),
    ("Three cats play.", "Animals play.", 0),
    ("The train left Paris in the morning.", "The train was full.", 1),
    ("It rains in the city.", "It is dry in the city.", 2),
]


def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Give each worker whole files, and one worker all files that share a whole run of the study."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = Path(super()._split_scope(nodeid)).name
            return "smoke" if file in SMOKE_FILES else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that share a run, which take longest."""
    items.sort(key=lambda item: item.path.name not in SMOKE_FILES)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def config() -> dict:
    """The content of config.yaml."""
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Forty-eight pairs in the columns of a split."""
    return pd.DataFrame(
        [
            {
                "pair_id": str(i),
                "genre": "test",
                "premise_id": premise_id(p),
                "premise": p,
                "hypothesis": h,
                "label": y,
            }
            for i, (p, h, y) in enumerate(PAIRS * 8)
        ]
    ).astype({"label": "int8"})


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory) -> Path:
    """A RoBERTa of 2 layers and 32 dimensions with random weights, in the `from_pretrained` layout."""
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_tokenizer(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "source.json", model_source(folder, folder.name, None))
    return folder


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory) -> Path:
    """A Llama of 2 layers and 64 dimensions with grouped-query attention and random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("decoder")
    tokenizer = train_tokenizer(["<|begin|>", "<|end|>"], "<|begin|> $A", "<|begin|> $A $B")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.1,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "source.json", model_source(folder, folder.name, None))
    return folder


def train_tokenizer(specials: list[str], single: str, pair: str, roles: dict[str, str] | None = None):
    """A byte-level BPE tokenizer over the test pairs, the label words and a few prompts.

    Without `roles` (pad_token: "[PAD]", ...) the special tokens are RoBERTa's or Llama's, by their spelling.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [text for premise, hypothesis, _ in PAIRS for text in (premise, hypothesis)]
    texts += [" Entailment Neutral Contradiction entailment neutral contradiction Yes Maybe No"] * 20
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    used = [(name, tokenizer.token_to_id(name)) for name in specials if name in f"{single} {pair}"]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=used)
    if roles is not None:
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)
    names = {"bos_token": specials[0], "eos_token": "</s>" if "</s>" in specials else specials[1]}
    if "<pad>" in specials:
        names |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>", "cls_token": "<s>"}
        names |= {"sep_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


@pytest.fixture(scope="session")
def demo_study(config):
    """The study resolved for the demo scale, with every rung."""
    from nli.study.resolve import load_study

    return load_study({**config, "scale": "demo", "rungs": "all"})


@pytest.fixture(scope="session")
def paper_study(config):
    """The study resolved for the paper scale."""
    from nli.study.resolve import load_study

    return load_study({**config, "scale": "paper"})


@pytest.fixture(scope="session")
def reported() -> dict:
    """The numbers that the original printed."""
    return yaml.safe_load((ROOT / "report/reported.yaml").read_text())

"""Trained models as folders that transformers and PEFT load by themselves."""

from pathlib import Path

from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from nli.models.training import core

CARD = "README.md"  # of a run's directory, one above its model's


def export_encoder(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str, revision: str | None = None
) -> None:
    """Add to the folder of a trained encoder what `from_pretrained` needs.

    With PEFT that is the adapter, with the word embeddings where they train; else the whole model.

    Args:
        base: what an adapter calls its base model: a name on the hub, or a folder, seen from the run's directory.
        revision: the base's commit on the hub.
    """
    if isinstance(model, PeftModel):
        export_adapter(model, folder, base, revision)
    else:
        core(model).save_pretrained(folder)
        link_card(folder)
    tokenizer.save_pretrained(folder)


def export_adapter(model: PeftModel, folder: Path, base: str, revision: str | None = None) -> None:
    """Save an adapter under its base's name, and link to the card of its run."""
    save_adapter(model, folder, base, revision)
    link_card(folder)


def save_adapter(model: PeftModel, folder: Path, base: str, revision: str | None = None) -> None:
    """Write the files that PEFT loads, the same in every process, with the word embeddings where they train."""
    for config in model.peft_config.values():
        config.base_model_name_or_path, config.revision = base, revision
        for name in ("target_modules", "feedforward_modules"):  # sets, whose order differs from process to process
            if isinstance(modules := getattr(config, name, None), set):
                setattr(config, name, sorted(modules))
    model.save_pretrained(folder, save_embedding_layers=model.get_input_embeddings().weight.requires_grad)


def link_card(folder: Path) -> None:
    """README.md of the folder is that of the run, which the scoring writes."""
    card = folder / CARD
    card.unlink(missing_ok=True)
    card.symlink_to(Path("..", CARD))

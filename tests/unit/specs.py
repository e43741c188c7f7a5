"""Specs, and objects built from them, shared by tests in several folders."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM, DataCollatorWithPadding, TrainerCallback

from nli import runtime
from nli.models import encoder
from nli.models.encoder import build_encoder, load_tokenizer, tokenize_pairs
from nli.models.training_texts import encode_texts, training_dataset

TRAINING = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "gradient_accumulation": 1,
    "epochs": 2.0,
    "max_steps": None,
    "weight_decay": 0.01,
    "optimizer": "adamw_torch",
    "schedule": "linear",
    "warmup_steps": 0,
    "max_grad_norm": 1.0,
    "mixed_precision": "none",
    "group_by_length": False,
    "gradient_checkpointing": False,
    "logging_steps": 2,
    "checkpoint_steps": 4,
}


class Killed(Exception):
    """Simulates the signal that ends a job."""


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


def encoder_trainer(folder, rows, checkpoints, experiment=None, seed=3, speed="plain", **changes):
    runtime.start(seed, threads=1)
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows, tokenizer, TOKENIZATION)
    model = build_encoder(folder, experiment or encoder_spec("full"))
    training = {**TRAINING, "eval_batch_size": 8, **changes}
    spec = {"training": training, "speed": speed}
    return encoder.make_trainer(model, tokenizer, dataset, spec, checkpoints, seed, dataset)


QUANTIZATION = {"load_in_4bit": True, "quant_type": "nf4", "compute_dtype": "float32", "double_quant": False}
QLORA_SPEC = {
    "trainer": "transformers",
    "text": "### Premise: {premise}\n\n### Hypothesis: {hypothesis}\n\n### Label: {label}",
    "label_words": {"entailment": "Entailment", "neutral": "Neutral", "contradiction": "Contradiction"},
    "loss_on": "all",
    "append_eos": False,
    "mask_end_token": True,
    "adapter_dtype": "float32",
    "prepared": True,
    "tokenization": {"max_length": 96, "padding": "longest"},
    "lora": {
        "variant": "lora",
        "r": 4,
        "alpha": 8,
        "dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"],
    },
    "training": {
        **TRAINING,
        "optimizer": "paged_adamw_8bit",
        "epochs": None,
        "max_steps": 6,
        "group_by_length": True,
        "accumulation": "micro_batches",
    },
}


def dataset_of(rows, tokenizer, spec):
    encoded = encode_texts(rows, tokenizer, spec)
    return training_dataset(encoded, spec, tokenizer)


TOKENIZATION = {"max_length": 48, "padding": "longest"}


def encoder_spec(method, **changes):
    base = {
        "name": method,
        "dtype": "float32",
        "method": method,
        "lora": {"variant": "lora", "r": 2, "alpha": 4, "dropout": 0.0, "bias": "none", "target_modules": None},
        "ia3": {"target_modules": None, "feedforward_modules": None},
        "prompt": {"num_virtual_tokens": 5, "init": "random"},
        "cloze": None,
        "layers": 1,
        "trainable": "method",
        "pooling": "first",
    }
    return {**base, **changes}


def build(folder, method, seed=0, **changes):
    torch.manual_seed(seed)
    return build_encoder(folder, encoder_spec(method, **changes))


def batch(folder, rows, n=6):
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows.head(n), tokenizer, TOKENIZATION)
    return DataCollatorWithPadding(tokenizer)([dataset[i] for i in range(n)])


def small_decoder(kind, vocab_size, **values):
    """A decoder of an architecture with random weights, for evaluation."""
    sizes = {"vocab_size": vocab_size, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "intermediate_size": 128, "head_dim": 16, **values}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).eval()


def trainable(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def gradients(model, inputs):
    model.train()
    model(**inputs).loss.backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


HEAD = {
    "text": "{premise}\n{hypothesis}",
    "head": "linear",
    "position": "first",
    "head_dropout": 0.1,
    "tokenization": {"max_length": 64, "padding": "longest"},
    "lora": QLORA_SPEC["lora"],
    "training": {**QLORA_SPEC["training"], "head_learning_rate": None},
    "quantization": QUANTIZATION,
}

CLOZE = {
    "first": "{premise}?",
    "second": "{mask}, {hypothesis}",
    "words": {"entailment": " Yes", "neutral": " Maybe", "contradiction": " No"},
    "trained": True,
}

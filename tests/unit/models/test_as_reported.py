"""The as-reported experiments equal the original's, key by key, and behave like its library versions."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForMaskedLM, TrainingArguments
from trl import SFTConfig
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of, encoder_spec

from nli import runtime
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer
from nli.models.encoder import build_encoder
from nli.models.qlora import make_trainer
from nli.models.training import training_arguments
from nli.models.training_texts import evaluation_prompts
from nli.study.specs import training_spec
from nli.texts import prompt_text

ATTEMPTS = ("attempt1", "attempt2", "attempt3")


@pytest.fixture(scope="module")
def experiments(paper_study):
    return {key: experiment.model_dump() for key, experiment in paper_study.experiments.items()}


def test_data_is_the_reports(paper_study, reported):
    data = reported["data"]
    assert paper_study.data.name == data["hub"]
    assert paper_study.data.train_fraction == data["train_fraction"]
    assert paper_study.data.rows.model_dump() == data["splits"]


def test_models_are_the_reports(paper_study, reported):
    assert paper_study.models.encoder.name == reported["models"]["encoder"]["name"]
    assert paper_study.models.decoder.name == reported["models"]["decoder"]["name"]
    ours, theirs = paper_study.models.decoder.quantization, reported["models"]["decoder"]["quantization"]
    assert (ours.load_in_4bit, ours.quant_type) == (theirs["load_in_4bit"], theirs["bnb_4bit_quant_type"])
    assert ours.compute_dtype == theirs["bnb_4bit_compute_dtype"]
    assert ours.double_quant == theirs["bnb_4bit_use_double_quant"]


@pytest.mark.parametrize("name", ["full", "lora", "prompt_tuning"])
def test_roberta_trains_as_reported(experiments, reported, name):
    ours, theirs = experiments[f"roberta/{name}"]["training"], reported["families"]["roberta"]["training"]
    assert ours["learning_rate"] == float(theirs["learning_rate"])
    assert ours["batch_size"] == theirs["train_batch_size"]
    assert ours["eval_batch_size"] == theirs["eval_batch_size"]
    assert (ours["epochs"], ours["max_steps"]) == (theirs["epochs"], None)
    assert ours["weight_decay"] == theirs["weight_decay"]
    assert ours["logging_steps"] == theirs["logging_steps"]
    tokens = {key: reported["families"]["roberta"]["tokenization"][key] for key in ("max_length", "padding")}
    assert experiments[f"roberta/{name}"]["tokenization"] == tokens


def test_roberta_methods_are_configured_as_reported(experiments, reported):
    ours, theirs = experiments["roberta/lora"]["lora"], reported["experiments"]["roberta/lora"]["config"]
    assert (ours["r"], ours["alpha"], ours["dropout"]) == (theirs["r"], theirs["lora_alpha"], theirs["lora_dropout"])
    assert ours["target_modules"] is None  # PEFT's default
    prompt = experiments["roberta/prompt_tuning"]
    printed = reported["experiments"]["roberta/prompt_tuning"]["config"]
    assert prompt["prompt"]["num_virtual_tokens"] == printed["num_virtual_tokens"]
    assert prompt["trainable"] == "word_embeddings"


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_prompts_are_the_reports_to_the_letter(paper_study, reported, number):
    ours = paper_study.prompts[f"prompt{number}"]
    theirs = reported["experiments"][f"icl/prompt{number}"]
    assert ours.text == theirs["text"]
    assert ours.shots == theirs["shots"]
    answers = reported["families"]["icl"]["answers"]
    labels = {word: word.lower() for word in answers["labels"]}
    assert ours.answers == (labels if theirs["approach"] == "labels" else answers["yes_no_maybe"])
    assert (ours.example.model_dump() if ours.example else None) == theirs.get("example")


def test_prompts_are_answered_as_reported(experiments, reported):
    for number in range(1, 6):
        generation = experiments[f"icl/prompt{number}"]["generation"]
        printed = reported["families"]["icl"]["generation"]
        assert generation["temperature"] == printed["temperature"]
        assert str(generation["max_new_tokens"]) in printed["max_new_tokens"].split("-")


def test_filled_prompt_is_the_text_that_the_report_describes(paper_study):
    text = prompt_text(paper_study.prompts["prompt2"].model_dump(), "P.", "H.")
    assert text == "premise: P.\nhypothesis: H.\nDoes P. follow logically from the H.?. Answer:"


@pytest.mark.parametrize("name", ATTEMPTS)
def test_qlora_adapters_are_the_reports(experiments, reported, name):
    ours, theirs = experiments[f"qlora/{name}"]["lora"], reported["families"]["qlora"]["lora"]
    printed = {"r": theirs["r"], "alpha": theirs["lora_alpha"], "dropout": theirs["lora_dropout"]}
    assert ours == {
        **printed,
        "variant": "lora",
        "bias": theirs["bias"],
        "target_modules": theirs["target_modules"],
    }


def test_attempt_1_is_the_reports(experiments, reported):
    ours, theirs = experiments["qlora/attempt1"], reported["experiments"]["qlora/attempt1"]
    assert ours["text"] == theirs["train_text"]
    rows = pd.DataFrame([{"premise": "A.", "hypothesis": "B."}])
    expected = theirs["eval_text"].replace("{premise}", "A.").replace("{hypothesis}", "B.")
    assert evaluation_prompts(rows, ours) == [expected]
    assert ours["label_words"] == {word.lower(): word for word in theirs["label_words"].values()}
    assert ours["tokenization"] == {key: theirs["tokenization"][key] for key in ("max_length", "padding")}
    pair = theirs["samples"][0]["pair"]
    assert ours["sample"] == {**pair, "label": pair["label"].lower()}
    assert ours["trainer"] == "transformers"
    training, printed = ours["training"], theirs["training"]
    same = set(printed) - {"learning_rate", "fp16", "bf16", "save_steps", "save_total_limit"}
    assert {key: training[key] for key in same} == {key: printed[key] for key in same}
    assert training["learning_rate"] == float(printed["learning_rate"])
    assert training["checkpoint_steps"] == printed["save_steps"]
    assert training["mixed_precision"] == "none"
    assert not printed["fp16"]
    assert not printed["bf16"]


def test_attempts_2_and_3_change_what_the_report_changed(experiments, reported):
    second, third = (experiments[f"qlora/attempt{n}"] for n in (2, 3))
    printed = reported["experiments"]["qlora/attempt2"]
    changes = printed["changes"]
    assert second["text"] == third["text"] == printed["text"]
    assert second["evaluation_text"] == third["evaluation_text"] == printed["eval_text"]
    assert second["trainer"] == third["trainer"] == "trl"
    assert second["training"]["learning_rate"] == float(changes["learning_rate"])
    assert second["training"]["batch_size"] == changes["batch_size"]
    assert second["training"]["gradient_accumulation"] == changes["gradient_accumulation"]
    assert second["training"]["max_steps"] == changes["max_steps"]["derived"]
    assert second["tokenization"]["max_length"] == changes["max_length"]
    changes = reported["experiments"]["qlora/attempt3"]["changes"]
    assert third["tokenization"]["max_length"] == changes["max_length"]
    assert third["training"]["max_steps"] == changes["max_steps"]["derived"]
    effective = third["training"]["batch_size"] * third["training"]["gradient_accumulation"]
    assert effective == changes["effective_batch"]["derived"]
    # SFTTrainer tokenized without padding, so that grouping by length had an effect
    assert second["tokenization"]["padding"] == third["tokenization"]["padding"] == "longest"
    assert third["training"]["learning_rate"] > second["training"]["learning_rate"]  # "slightly higher", not printed


@pytest.mark.parametrize("name", ["attempt2", "attempt3", "attempt2_merged"])
def test_attempts_2_and_3_and_the_merge_leave_the_sampling_to_the_model(experiments, reported, name):
    printed = reported["experiments"]["qlora/attempt2"]["generation"]["max_new_tokens"]
    open_to_the_model = {"temperature": None, "top_k": None, "top_p": None}
    assert experiments[f"qlora/{name}"]["generation"] == {**open_to_the_model, "max_new_tokens": printed}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_steps_average_their_micro_batches_as_in_june_2024(experiments, name):
    assert experiments[f"qlora/{name}"]["training"]["accumulation"] == "micro_batches"


def test_decoder_answers_as_it_was_prepared_for_training(experiments, reported):
    assert reported["models"]["decoder"]["preparation"] == "prepare_model_for_kbit_training"
    answering = [spec for key, spec in experiments.items() if key.startswith(("icl/", "qlora/"))]
    assert all(spec["prepared"] for spec in answering)


def test_linear_head_is_the_reports(experiments, reported):
    key = "linear_head/first_token"
    ours, printed = experiments[key], reported["experiments"][key]["training"]
    assert ours["position"] == "first"
    assert ours["head_dropout"] == 0.1
    for key in ("batch_size", "gradient_accumulation", "max_steps"):
        assert ours["training"][key] == printed[key], key
    assert ours["training"]["learning_rate"] == float(printed["learning_rate"])
    rest = ("weight_decay", "optimizer", "schedule", "warmup_steps", "max_grad_norm", "group_by_length")
    attempt1 = experiments["qlora/attempt1"]["training"]
    assert {key: ours["training"][key] for key in rest} == {key: attempt1[key] for key in rest}


# ------------------------------------------------------------- what newer libraries would do otherwise


@pytest.fixture
def arguments(paper_study, tmp_path):
    """The keyword arguments that an experiment's trainer gets, and the configuration object made of them."""

    def build(key, kind=TrainingArguments):
        chosen = training_arguments(training_spec(paper_study, key)["training"], tmp_path, seed=0)
        return kind(**chosen)

    return build


@pytest.mark.parametrize("kind", [TrainingArguments, SFTConfig])
def test_precision_is_float32_without_autocast_whatever_the_library_prefers(arguments, kind):
    made = arguments("qlora/attempt2", kind)
    assert (made.fp16, made.bf16) == (False, False)


def test_trl_would_turn_bf16_on_by_itself(tmp_path):
    """The default that `mixed_precision: none` overrides; if it disappears, the key can too."""
    fields = SFTConfig.__dataclass_fields__
    assert fields["bf16"].default is None  # resolved to "on" if the device supports it
    assert SFTConfig(output_dir=str(tmp_path), fp16=False, use_cpu=True).bf16 is True


def test_optimizers_schedule_and_grouping_are_the_reports(arguments):
    roberta, attempt1 = arguments("roberta/full"), arguments("qlora/attempt1")
    assert (roberta.optim, attempt1.optim) == ("adamw_torch", "paged_adamw_8bit")
    assert roberta.lr_scheduler_type == attempt1.lr_scheduler_type == "linear"
    assert (roberta.train_sampling_strategy, attempt1.train_sampling_strategy) == ("random", "group_by_length")
    assert (roberta.warmup_steps, attempt1.warmup_steps) == (0, 2)
    assert (roberta.adam_beta1, roberta.adam_beta2, roberta.adam_epsilon) == (0.9, 0.999, 1e-8)
    assert (roberta.max_grad_norm, attempt1.max_grad_norm) == (1.0, 0.3)
    assert (roberta.gradient_checkpointing, attempt1.gradient_checkpointing) == (False, True)


def sft_trainer(decoder_folder, rows, folder, **changes):
    runtime.start(0, threads=1)
    spec = {**QLORA_SPEC, "trainer": "trl", **changes}
    tokenizer = load_tokenizer(decoder_folder)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    return make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, folder, 0), tokenizer


def test_sft_trainer_packs_nothing_and_keeps_padding(decoder_folder, rows, tmp_path):
    trainer, _ = sft_trainer(decoder_folder, rows, tmp_path)
    assert (trainer.args.packing, trainer.args.padding_free) == (False, False)
    assert trainer.args.completion_only_loss is None
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["input_ids"].shape[0] == QLORA_SPEC["training"]["batch_size"]
    assert (batch["attention_mask"].sum(dim=1) > 0).all()


def test_sft_trainer_trains_on_the_text_without_an_end_token(decoder_folder, rows, tmp_path):
    trainer, tokenizer = sft_trainer(decoder_folder, rows, tmp_path)
    for example in trainer.train_dataset:
        assert tokenizer.eos_token_id not in example["input_ids"]
        assert tokenizer.decode(example["input_ids"]).endswith(("Entailment", "Neutral", "Contradiction"))


def test_adapters_stay_float32_under_trl(decoder_folder, rows, tmp_path):
    trainer, _ = sft_trainer(decoder_folder, rows, tmp_path)
    assert {p.dtype for p in trainer.model.parameters() if p.requires_grad} == {torch.float32}


def test_end_token_that_pads_carries_no_loss(decoder_folder, rows, tmp_path):
    trainer, tokenizer = sft_trainer(decoder_folder, rows, tmp_path, append_eos=True)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    batch = next(iter(trainer.get_train_dataloader()))
    ends = batch["input_ids"] == tokenizer.eos_token_id
    assert (ends.sum(dim=1) >= 1).all()  # the end token is in every text
    assert (batch["labels"][ends] == -100).all()  # and none of them is learned


def test_encoder_loads_as_float32_whatever_type_its_files_have(encoder_folder, tmp_path):
    AutoModelForMaskedLM.from_pretrained(encoder_folder, dtype=torch.bfloat16).save_pretrained(tmp_path)
    model = build_encoder(tmp_path, encoder_spec("full"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}

"""What each job depends on: the part of the study that decides a training, a prediction, a model folder or the data."""

from collections.abc import Mapping
from typing import Any

from nli.base.files import content_hash
from nli.study.experiments import Experiment
from nli.study.schema import Study

# An experiment's name, and whether it runs, do not affect its numbers.
NAMES = ("title", "origin", "extra", "skip", "compared_with")


def training_spec(study: Study, key: str) -> dict[str, Any]:
    """What decides the training of an experiment, and nothing else, so that no other change reruns it."""
    spec = study.experiments[key].model_dump(mode="json")
    for field in (*NAMES, "seeds", "evaluation", "scorers"):
        spec.pop(field, None)
    if not spec.get("sample"):  # the sample is asked before and after the training
        for field in ("generation", "evaluation_text", "prepared"):
            spec.pop(field, None)
    seed = {"sample_seed": study.data.seed} if (spec.get("training") or {}).get("examples") else {}
    return {
        **spec,
        **seed,
        **speed_spec(study, key, "train"),
        **validation_spec(study, key),
        **loading_spec(study, key),
    }


def speed_spec(study: Study, key: str, job: str) -> dict[str, str]:
    """The study's `speed`, if it changes the experiment's `job` ("train" or "predict"); else {}."""
    return {"speed": study.speed} if job in study.experiments[key].speed_matters else {}


def validation_spec(study: Study, key: str) -> dict[str, Any]:
    """The sample of matched pairs that a training is evaluated on after each epoch; {} for all of them, or for none."""
    experiment = study.experiments[key]
    examples = experiment.evaluation.examples if experiment.epochs_evaluated else None
    return {"validation_examples": examples, "sample_seed": study.data.seed} if examples else {}


def prediction_spec(study: Study, key: str) -> dict[str, Any]:
    """What decides the predictions of an experiment: all of it, and the prompt that it names."""
    experiment = study.experiments[key]
    spec = experiment.model_dump(mode="json")
    for field in (*NAMES, "seeds"):
        spec.pop(field, None)
    if not spec.get("chat"):  # results from before there was this key remain
        spec.pop("chat", None)
    return {
        **spec,
        **experiment.prediction_texts(study.prompts),
        **loading_spec(study, key),
        **speed_spec(study, key, "predict"),
        "scale": study.scale,
        "sample_seed": study.data.seed,
    }


def rehearsal_spec(study: Study, key: str) -> dict[str, Any]:
    """What decides the rehearsal of an experiment: its training (or None), its answering, and the number of steps."""
    return {
        "train": training_spec(study, key) if trains(study.experiments[key]) else None,
        "predict": prediction_spec(study, key),
        "steps": study.rehearsal.model_dump(),
    }


def trains(experiment: Experiment) -> bool:
    """Whether the experiment trains; prompting does not, nor does an experiment with another's adapter."""
    cloze = getattr(experiment, "cloze", None)
    borrows = getattr(experiment, "adapter", None) is not None
    return experiment.trains and not borrows and (cloze is None or cloze.trained)


def task_spec(study: Study, task: str, key: str) -> dict[str, Any]:
    """What decides the training of an encoder for one of several tasks, like the experiment `key`.

    All tasks are in it, because their heads have as many outputs as the task with the most classes.
    """
    spec = training_spec(study, key)
    spec.pop("validation_examples", None)
    return {**spec, "task": task, "tasks": {name: each.label for name, each in study.tasks.tasks.items()}}


def loading_spec(study: Study, key: str) -> dict[str, Any]:
    """How the experiment's base model is loaded: an encoder's dtype or a decoder's quantization; {} without a model."""
    role = study.experiments[key].model
    return getattr(study.models, role).model_dump(mode="json", include={"dtype", "quantization"}) if role else {}


def model_spec(study: Study, role: str) -> dict[str, Any]:
    """What decides a base model's folder: its source and that source's keys."""
    kept = {
        "hub": {"name", "revision"},
        "path": {"name"},
        "random": {"name"},
        "made": {"recipe"},
    }
    model = getattr(study.models, role)
    return model.model_dump(mode="json", include={"source"} | kept[model.source], exclude_none=True)


def fetch_spec(study: Study) -> dict[str, Any]:
    """What decides the rows that the splits are drawn from: the data's source and that source's keys."""
    kept = {"hub": {"name", "revision", "rows"}, "files": {"path"}, "synthetic": {"synthetic"}}
    include = {"source", "seed"} | kept[study.data.source]
    return study.data.model_dump(mode="json", include=include)


def sampling_spec(study: Study) -> dict[str, Any]:
    """What decides the splits that are drawn from the rows."""
    fields = {"train_fraction", "tune_examples", "train_examples", "evaluation_examples", "seed"}
    return study.data.model_dump(mode="json", include=fields)


def set_spec(study: Study, name: str) -> dict[str, Any]:
    """What decides the rows of an evaluation set with its own rows."""
    source = study.data.own_sets[name]
    examples, seed = study.data.evaluation_examples, study.data.seed
    stated = source.model_dump(mode="json", exclude=None if source.known else {"known"})
    return {"source": stated, "merged": source.merged, "examples": examples, "seed": seed}


def spec_hash(spec: Mapping[str, Any]) -> str:
    """A hash of `spec`: twelve hexadecimal digits."""
    return content_hash(spec)[:12]

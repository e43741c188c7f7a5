"""Fetching a model from the hub, once, on a machine with a network; every other job runs offline."""

from pathlib import Path

from nli.atomic import write_json
from nli.errors import StudyError
from nli.files import model_source

PATTERNS = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]  # no pickles, no code


def fetch_model(name: str, revision: str, folder: Path) -> None:
    """Download a snapshot into `folder` and record its source; files that are there already are kept.

    Raises:
        StudyError: no network, no such model or revision, no access, or no safetensors among its files.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        snapshot_download(name, revision=revision, local_dir=folder, allow_patterns=PATTERNS)
    except GatedRepoError:
        raise StudyError(
            f"{name} is gated: accept its licence on the hub with your account, then set HF_TOKEN and run again"
        ) from None
    except RevisionNotFoundError:
        raise StudyError(f"{name} has no revision {revision}: mend models.*.revision in config.yaml") from None
    except RepositoryNotFoundError:
        raise StudyError(
            f"{name} is not on the hub, or is private and HF_TOKEN gives no access: mend models.*.name in config.yaml"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise StudyError(
            f"{name} could not be fetched ({type(error).__name__}): run this step where there is a network, or set "
            "models.*.source to path and name to a folder that holds the model"
        ) from None
    if not list(folder.glob("*.safetensors")):
        raise StudyError(f"{name} at {revision} has no safetensors files; choose a revision that has")
    write_json(folder / "source.json", model_source(folder, name, revision))

"""What the study needs from the hub, how much of it is in the cache, and whether the hub can be reached.

Uses no hub library, because a login node that runs its jobs in containers has none.
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.hub import cache
from nli.hub.errors import Repository
from nli.study.schema import Study

ENDPOINT = "https://huggingface.co"
NETWORK_TIMEOUT = 3  # seconds
PROXY_STATUS = (407, 502, 503, 504)
SET_SIZE = 0.05  # GB: a file of some ten thousand pairs


@dataclass(frozen=True)
class HubItem(Repository):
    """A model or data set at a pinned commit, its role in the study, and its size in GB (0 where it is unknown)."""

    role: str
    gb: float


def hub_items(study: Study) -> list[HubItem]:
    """What the selected experiments need from the hub."""
    items = []
    if study.data.source == "hub":
        items.append(HubItem("dataset", study.data.name, study.data.revision, "data", "data", study.data.gb or 0.0))
    for name, rows in study.answered_sets().items():
        if rows.name:
            items.append(
                HubItem("dataset", rows.name, rows.revision, f"data.sets.{name}.source", f"sets/{name}", SET_SIZE)
            )
    for role in sorted({experiment.model for experiment in study.using_models()}):
        model = getattr(study.models, role)
        if model.source == "hub":
            items.append(HubItem("model", model.name, model.revision, f"models.{role}", role, model.gb or 0.0))
    return items


def missing(study: Study) -> list[HubItem]:
    """What still has to be fetched."""
    return [item for item in hub_items(study) if not is_fetched(study, item)]


def is_fetched(study: Study, item: HubItem) -> bool:
    """Whether the item is complete, by the record of its fetch in the cache or as the fetch rule's output."""
    return is_output(study, item) or cache.whole_record(item, cache_folder(study)) is not None


def is_output(study: Study, item: HubItem) -> bool:
    """Whether the fetch rule's output is this item at this commit, by its source.json, and not an earlier one."""
    is_data = item.kind == "dataset"
    if is_data:
        record = "data/raw/source.json" if item.role == "data" else f"data/{item.role}.json"
    else:
        record = f"models/hub/{item.role}/source.json"
    try:
        source = read_json(Path(study.results, study.scale, record))
        found = source["source" if is_data else "id"], source["revision"]
    except (StudyError, KeyError, TypeError):
        return False  # missing or broken
    return found == (f"hub {item.name}" if is_data else item.name, item.revision)


def cache_folder(study: Study) -> Path:
    """The path of the study's cache."""
    return Path(study.cache)


def partial_gb(study: Study, item: HubItem) -> float:
    """GB of an unfinished fetch in the cache's hub folder, which the next fetch keeps."""
    folder = cache.storage_folder(item, cache_folder(study)) / "blobs"
    return sum(path.stat().st_size for path in folder.glob("*")) / 1e9 if folder.is_dir() else 0.0


def reach_hub(environment: Mapping[str, str]) -> tuple[str, str]:
    """The hub's host, and why it cannot be reached (empty if it can; any answer from the hub counts).

    Runs in a thread, because a connection timeout does not limit the name look-up.
    """
    parts = urlsplit(environment.get("HF_ENDPOINT", "").strip() or ENDPOINT)
    host = parts.hostname or "HF_ENDPOINT"
    endpoint = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without a password
    problems = [f"no answer in {NETWORK_TIMEOUT} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=NETWORK_TIMEOUT).close()
            problems.append("")
        except urllib.error.HTTPError as answer:  # 404 comes from the hub, 407 and 502 to 504 from a proxy
            problems.append(f"answered with HTTP status {answer.code}" if answer.code in PROXY_STATUS else "")
        except urllib.error.URLError as error:
            reason = getattr(error.reason, "strerror", None) or type(error.reason).__name__
            problems.append(f"cannot be reached ({reason})")
        except (OSError, ValueError) as error:
            problems.append(f"cannot be reached ({type(error).__name__})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT)
    return host, problems[-1]

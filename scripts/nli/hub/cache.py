"""Fetching from the hub into one cache, once, on a machine with a network; every other job runs offline.

    <cache>/hub/                             huggingface_hub's own cache: what was fetched is not fetched again
    <cache>/complete/<kind>/<name>/<commit>.json   what a whole snapshot holds: written last, sizes and SHA-256

A snapshot with that record is checked against it (every file's size and hash) without a word to the network. What is
missing, cut short or changed is fetched, verified against the hub's own hashes, and recorded. Nothing is written to the
home directory; a token is sent to the hub and to nothing else.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.base.files import read_json, sha256
from nli.hub.errors import Repository, explain

SPARE_BYTES = 2**30  # left free on the cache's disk
RETRY_SECONDS = (1, 4)  # before another try, where the hub is overloaded or down
GB = 1e9

# Read by huggingface_hub when it is imported. Xet, its other protocol, keeps a second copy of the chunks and verifies
# hashes of its own; plain HTTPS serves the same files, whose SHA-256 we can check.
ENVIRONMENT = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_SHARED_BLOBS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",  # its warnings print signed addresses
    "HF_DEBUG": "0",  # prints every request
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Snapshot:
    """The fetched files of a repository: the folder, and name -> size in bytes and SHA-256."""

    folder: Path
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class RemoteFile:
    """What the hub says of a file: its size, and its SHA-256 (large files) or git's SHA-1 (small ones)."""

    size: int
    sha256: str | None
    git_sha1: str | None


Choice = Callable[[Iterable[str]], list[str]]


def fetch(repository: Repository, cache: Path, choose: Choice) -> Snapshot:
    """The files of a repository that `choose` takes from its listing, whole and verified, in the cache.

    A cache that holds them is only read, so that it may be another user's.

    Raises:
        StudyError: no access, no such repository or revision, no network, no space, a file that does not arrive
            as the hub has it, or `choose`'s own refusal.
    """
    cache = cache.expanduser().absolute()
    if snapshot := _whole(repository, cache, choose):
        return snapshot
    with _locked(cache):
        if snapshot := _whole(repository, cache, choose):  # another job has fetched it in the meantime
            return snapshot
        if is_offline():
            raise StudyError(
                f"{repository} is not whole in {cache} and HF_HUB_OFFLINE is set: "
                "unset it for the fetch (every later job runs offline by itself), or copy a whole cache there"
            )
        return _download(repository, cache, choose)


def recorded(repository: Repository, cache: Path, choose: Choice) -> Snapshot | None:
    """The snapshot, if its record is there, holds what `choose` takes, and every file has its size."""
    record = whole_record(repository, cache)
    if record is None or not set(choose(record.get("listing", ()))) <= set(record["files"]):
        return None
    return Snapshot(snapshot_folder(repository, cache), record["files"])


def whole_record(repository: Repository, cache: Path) -> dict[str, Any] | None:
    """What a fetch recorded last, if every file that it names is there with its size (hashes are not read here)."""
    try:
        record = read_json(_record_path(repository, cache))
        sizes = {name: file["size"] for name, file in record["files"].items()}
        folder = snapshot_folder(repository, cache)
        return record if all(_size(folder / name) == size for name, size in sizes.items()) else None
    except (StudyError, OSError, KeyError, TypeError, AttributeError):
        return None  # none yet, one of an earlier version, a broken one, or files that may not be read


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user's own environment forbids the network, as huggingface_hub reads it."""
    value = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def find_token(environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """The user's token and where it is from: HF_TOKEN, else the file that `hf auth login` wrote, which is only read.

    Raises:
        StudyError: what is there cannot be a token. It is not repeated.
    """
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    path = Path(os.path.expandvars(environment.get("HF_TOKEN_PATH") or Path(home, "token"))).expanduser()
    found = [(name, environment.get(name, "").strip()) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")]
    if not any(token for _, token in found):
        try:
            found.append(("the hub's token file", path.read_text(encoding="utf-8").strip()))
        except (OSError, UnicodeDecodeError):
            return None
    source, token = next(((source, token) for source, token in found if token), ("", ""))
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise StudyError(f"{source} holds no token (a space, a line break or a sign that none has): set it again")
    return (source, token) if token else None


# ---------------------------------------------------------------------------------------------- the cache


def storage_folder(repository: Repository, cache: Path) -> Path:
    """Where huggingface_hub's cache keeps a repository: blobs/ and snapshots/."""
    return cache / "hub" / f"{repository.kind}s--{repository.name.replace('/', '--')}"


def snapshot_folder(repository: Repository, cache: Path) -> Path:
    """Its files at the pinned commit."""
    return storage_folder(repository, cache) / "snapshots" / repository.revision


def _record_path(repository: Repository, cache: Path) -> Path:
    return cache / "complete" / f"{repository.kind}s" / repository.name / f"{repository.revision}.json"


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _whole(repository: Repository, cache: Path, choose: Choice) -> Snapshot | None:
    """The recorded snapshot, if the content of every file is what was recorded.

    A file that changed is said and left there: `_download` deletes what is not as the hub has it.
    """
    snapshot = recorded(repository, cache, choose)
    if snapshot is None:
        return None
    try:
        wrong = [name for name, file in snapshot.files.items() if sha256(snapshot.folder / name) != file["sha256"]]
    except FileNotFoundError:
        return None  # another job is fetching it again
    except OSError as error:
        raise StudyError(f"{error.filename}: {error.strerror}; mend its permissions, or set the key cache") from None
    for name in wrong:
        print(f"{name}: changed since it was fetched", flush=True)
    if wrong:
        return None
    print(f"{repository}: whole in the cache, nothing to fetch", flush=True)
    return snapshot


def _forget(path: Path) -> None:
    """Delete a file of a snapshot and the blob that it links to."""
    if path.is_symlink():
        path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One fetch into a cache at a time, of all studies that share it: the space on its disk is given once."""
    from filelock import FileLock, Timeout

    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "fetch.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"another job is fetching into {cache}; waiting for it", flush=True)
            lock.acquire()
    except OSError as error:
        raise StudyError(f"{cache}: {error.strerror}; set the key cache to a folder that can be written") from None
    try:
        yield
    finally:
        lock.release()


# ---------------------------------------------------------------------------------------------- the network


def _download(repository: Repository, cache: Path, choose: Choice) -> Snapshot:
    """Fetch what is missing, verify it all, and write the record."""
    token = (find_token() or (None, None))[1]
    os.environ.update(ENVIRONMENT, HF_HOME=str(cache / "huggingface"))
    for orphan in (storage_folder(repository, cache) / "blobs").glob("*.incomplete"):
        orphan.unlink()  # of a killed fetch: huggingface_hub starts that file again
    try:
        listing = _with_retries(lambda: _list_files(repository, token))
        names = choose(listing)
        folder = snapshot_folder(repository, cache)
        files = {name: _verified(folder / name, listing[name]) for name in names}
        missing = [name for name in names if files[name] is None]
        needed = sum(listing[name].size for name in missing)
        print(f"{repository}: {len(missing)} of {len(names)} files to fetch, {needed / GB:.3f} GB", flush=True)
        _require_space(repository, cache, needed)
        for name in missing:
            files[name] = _fetch_file(repository, cache, name, listing[name], token)
        write_json(_record_path(repository, cache), {"listing": sorted(listing), "files": files})
    except (OSError, ValueError, KeyError, _transport_error()) as error:
        raise explain(error, repository, cache, token is not None) from None
    return Snapshot(folder, files)


def _transport_error() -> type[Exception]:
    import httpx2  # the HTTP client of huggingface_hub 2

    return httpx2.HTTPError


def _list_files(repository: Repository, token: str | None) -> dict[str, RemoteFile]:
    """Every file of the repository at the pinned commit, with size and hash."""
    from huggingface_hub import HfApi, constants

    info = HfApi().repo_info(
        repository.name,
        revision=repository.revision,
        repo_type=repository.kind,
        files_metadata=True,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
        token=token or False,
    )
    if info.sha != repository.revision:
        raise StudyError(
            f"config.yaml: {repository.key}.revision: '{repository.revision}' is a branch or a tag, which may move; "
            f"pin the commit that it stands for now: {info.sha}"
        )
    return {
        file.rfilename: RemoteFile(file.lfs.size, file.lfs.sha256, None)
        if file.lfs
        else RemoteFile(file.size or 0, None, file.blob_id)
        for file in info.siblings or []
    }


def _fetch_file(
    repository: Repository, cache: Path, name: str, remote: RemoteFile, token: str | None
) -> dict[str, Any]:
    """Fetch one file, once more if it arrives wrong, and give its size and SHA-256."""
    from huggingface_hub import hf_hub_download

    for _ in range(2):
        print(f"{name}: {remote.size / GB:.3f} GB", flush=True)
        path = _with_retries(
            lambda: hf_hub_download(
                repository.name,
                name,
                repo_type=repository.kind,
                revision=repository.revision,
                cache_dir=cache / "hub",
                token=token or False,
            )
        )
        file = _verified(Path(path), remote)
        if file:
            return file
    raise StudyError(
        f"{repository}: {name} arrived twice with a wrong size or hash; it was deleted. "
        "Something between here and the hub changes it (a proxy, a mirror in HF_ENDPOINT): run again without"
    )


def _verified(path: Path, remote: RemoteFile) -> dict[str, Any] | None:
    """Size and SHA-256 of a file that is as the hub has it; None, and the file deleted, if it is not."""
    size = _size(path)
    if size == remote.size:
        digest = sha256(path)
        if digest == remote.sha256 if remote.sha256 else _git_sha1(path, size) == remote.git_sha1:
            return {"size": size, "sha256": digest}
    if size is not None:
        print(f"{path.name}: not as the hub has it; fetched again", flush=True)
    _forget(path)
    return None


def _git_sha1(path: Path, size: int) -> str:
    """The object id that git gives a file (`git hash-object`)."""
    return hashlib.sha1(b"blob %d\0" % size + path.read_bytes()).hexdigest()


def _require_space(repository: Repository, cache: Path, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if needed and needed + SPARE_BYTES > free:
        raise StudyError(
            f"{repository}: {(needed + SPARE_BYTES) / GB:.1f} GB needed in {cache}, {free / GB:.1f} GB free there: "
            "make room, or set the key cache to a folder on a larger disk"
        )


def _with_retries(call: Callable[[], Result]) -> Result:
    """The call's result; where the hub answers 429 or 5xx it is asked again, after a wait."""
    from huggingface_hub.errors import HfHubHTTPError

    for seconds in RETRY_SECONDS:
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code != 429 and error.response.status_code < 500:
                raise
            print(f"the hub answers {error.response.status_code}; asked again in {seconds} s", flush=True)
            time.sleep(seconds)
    return call()

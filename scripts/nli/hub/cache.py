"""Fetches from the hub into a cache, once, on a machine with a network; every other job runs offline.

    <cache>/hub/                             huggingface_hub's own cache: nothing is fetched twice
    <cache>/complete/<kind>/<name>/<commit>.json   sizes and SHA-256 of a complete snapshot: written last

A snapshot with that record is checked against it (every file's size and hash) without network access. Files that are
missing, truncated or changed are fetched, verified against the hub's hashes, and recorded. Nothing is written to the
home directory; a token is sent only to the hub.
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
RETRY_SECONDS = (1, 4)  # wait before each retry if the hub is overloaded or down
GB = 1e9

# huggingface_hub reads these when it is imported. Its other protocol, Xet, keeps a second copy of the chunks and
# verifies its own hashes; plain HTTPS serves the same files, whose SHA-256 we can check.
ENVIRONMENT = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_SHARED_BLOBS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",  # its warnings print signed addresses
    "HF_DEBUG": "0",  # would print every request
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Snapshot:
    """The fetched files of a repository: their folder, and name -> size in bytes and SHA-256."""

    folder: Path
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class RemoteFile:
    """What the hub says about a file: its size, and its SHA-256 (large files) or git's SHA-1 (small ones)."""

    size: int
    sha256: str | None
    git_sha1: str | None


Choice = Callable[[Iterable[str]], list[str]]


def fetch(repository: Repository, cache: Path, choose: Choice) -> Snapshot:
    """The files of a repository that `choose` selects from its listing, complete and verified, in the cache.

    A cache that already has them is only read, so it may belong to another user.

    Raises:
        StudyError: no access, no such repository or revision, no network, no space, a file that differs from the
            hub's, or a refusal by `choose`.
    """
    cache = cache.expanduser().absolute()
    if snapshot := _whole(repository, cache, choose):
        return snapshot
    with _locked(cache):
        if snapshot := _whole(repository, cache, choose):  # another job has fetched it in the meantime
            return snapshot
        if is_offline():
            raise StudyError(
                f"{repository} is not complete in {cache} and HF_HUB_OFFLINE is set; "
                "unset it for the fetch (every later job runs offline anyway), or copy a complete cache there"
            )
        return _download(repository, cache, choose)


def recorded(repository: Repository, cache: Path, choose: Choice) -> Snapshot | None:
    """The snapshot, if it has a record that contains what `choose` selects and every file has its recorded size."""
    record = whole_record(repository, cache)
    if record is None or not set(choose(record.get("listing", ()))) <= set(record["files"]):
        return None
    return Snapshot(snapshot_folder(repository, cache), record["files"])


def whole_record(repository: Repository, cache: Path) -> dict[str, Any] | None:
    """The record of the last fetch, if every file in it exists with its recorded size (hashes are not checked)."""
    try:
        record = read_json(_record_path(repository, cache))
        sizes = {name: file["size"] for name, file in record["files"].items()}
        folder = snapshot_folder(repository, cache)
        return record if all(_size(folder / name) == size for name, size in sizes.items()) else None
    except (StudyError, OSError, KeyError, TypeError, AttributeError):
        return None  # no record yet, one of an earlier version, a broken one, or unreadable files


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user's environment forbids the network, as huggingface_hub reads it."""
    value = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def find_token(environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """The user's token and its source: HF_TOKEN, else the file that `hf auth login` wrote, which is only read.

    Raises:
        StudyError: the value cannot be a token. The message does not repeat it.
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
        raise StudyError(f"{source}: not a token (it has a space, a line break or an invalid character); set it again")
    return (source, token) if token else None


# ---------------------------------------------------------------------------------------------- the cache


def storage_folder(repository: Repository, cache: Path) -> Path:
    """The folder of a repository in huggingface_hub's cache, with blobs/ and snapshots/."""
    return cache / "hub" / f"{repository.kind}s--{repository.name.replace('/', '--')}"


def snapshot_folder(repository: Repository, cache: Path) -> Path:
    """The folder of its files at the pinned commit."""
    return storage_folder(repository, cache) / "snapshots" / repository.revision


def _record_path(repository: Repository, cache: Path) -> Path:
    return cache / "complete" / f"{repository.kind}s" / repository.name / f"{repository.revision}.json"


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _whole(repository: Repository, cache: Path, choose: Choice) -> Snapshot | None:
    """The recorded snapshot, if the content of every file is as recorded.

    Prints the name of a changed file but keeps it; `_download` deletes files that differ from the hub's.
    """
    snapshot = recorded(repository, cache, choose)
    if snapshot is None:
        return None
    try:
        wrong = [name for name, file in snapshot.files.items() if sha256(snapshot.folder / name) != file["sha256"]]
    except FileNotFoundError:
        return None  # another job is fetching it again
    except OSError as error:
        raise StudyError(f"{error.filename}: {error.strerror}; fix its permissions, or set the key cache") from None
    for name in wrong:
        print(f"{name}: changed since it was fetched", flush=True)
    if wrong:
        return None
    print(f"{repository}: complete in the cache, nothing to fetch", flush=True)
    return snapshot


def _forget(path: Path) -> None:
    """Delete a file of a snapshot and the blob that it links to."""
    if path.is_symlink():
        path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Lock the cache, so that of all studies that share it only one fetches and claims its disk space at a time."""
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
        raise StudyError(f"{cache}: {error.strerror}; set the key cache to a writable folder") from None
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
        orphan.unlink()  # left by a killed fetch: huggingface_hub restarts that file
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
            f"pin the commit that it points to now: {info.sha}"
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
    """Fetch one file, and once more if it arrives corrupted; return its size and SHA-256."""
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
        "Something between here and the hub changes it (a proxy, a mirror in HF_ENDPOINT); rerun without it"
    )


def _verified(path: Path, remote: RemoteFile) -> dict[str, Any] | None:
    """Size and SHA-256 of a file that equals the hub's; otherwise deletes the file and returns None."""
    size = _size(path)
    if size == remote.size:
        digest = sha256(path)
        if digest == remote.sha256 if remote.sha256 else _git_sha1(path, size) == remote.git_sha1:
            return {"size": size, "sha256": digest}
    if size is not None:
        print(f"{path.name}: differs from the hub's; fetching it again", flush=True)
    _forget(path)
    return None


def _git_sha1(path: Path, size: int) -> str:
    """The object id that git gives a file (`git hash-object`)."""
    return hashlib.sha1(b"blob %d\0" % size + path.read_bytes()).hexdigest()


def _require_space(repository: Repository, cache: Path, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if needed and needed + SPARE_BYTES > free:
        raise StudyError(
            f"{repository}: {(needed + SPARE_BYTES) / GB:.1f} GB needed in {cache}, {free / GB:.1f} GB free there; "
            "free some space, or set the key cache to a folder on a larger disk"
        )


def _with_retries(call: Callable[[], Result]) -> Result:
    """The call's result; retries after a wait if the hub answers 429 or 5xx."""
    from huggingface_hub.errors import HfHubHTTPError

    for seconds in RETRY_SECONDS:
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code != 429 and error.response.status_code < 500:
                raise
            print(f"the hub answers {error.response.status_code}; retrying in {seconds} s", flush=True)
            time.sleep(seconds)
    return call()

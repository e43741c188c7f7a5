"""Fetching with the real scripts and the real huggingface_hub from a fake hub."""

import errno
import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import filelock
import pytest
from unit.hub_server import COMMIT, MODEL, TOKEN, StoredRepository, error_of

import nli.hub.cache
from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.hub.cache import snapshot_folder
from nli.hub.errors import Repository

TAKEN = {"config.json", "tokenizer.json", "merges.txt", "model.safetensors"}


def blob(tmp_path: Path, name: str) -> Path:
    return (tmp_path / "output" / name).resolve()


# ---------------------------------------------------------------------------------------------- what is fetched


def test_model_is_fetched_without_pickles_code_or_copies_and_recorded_with_its_hashes(fetch, hub, tmp_path):
    assert fetch().returncode == 0
    output = tmp_path / "output"
    assert {path.name for path in output.iterdir()} == TAKEN | {"source.json"}
    assert set(hub.downloads()) == TAKEN
    assert all((output / name).read_bytes() == MODEL[name] for name in TAKEN)
    digest = hashlib.sha256(MODEL["model.safetensors"]).hexdigest()
    source = json.loads((output / "source.json").read_text())
    assert (source["id"], source["revision"]) == ("owner/model", COMMIT)
    assert source["files"]["model.safetensors"] == {"size": 1024000, "sha256": digest}
    assert source["sha256"] == hashlib.sha256(f"{digest}  model.safetensors\n".encode()).hexdigest()


def test_deleted_output_costs_no_second_download_and_no_request(fetch, hub, tmp_path):
    fetch()
    shutil.rmtree(tmp_path / "output")
    hub.requests.clear()
    done = fetch(HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout
    assert hub.requests == []
    assert (tmp_path / "output/model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_links_are_relative_within_the_working_folder(fetch, tmp_path):
    fetch()
    link = os.readlink(tmp_path / "output/config.json")
    assert link == f"../cache/hub/models--owner--model/snapshots/{COMMIT}/config.json"


def test_home_folder_stays_empty(fetch, tmp_path):
    fetch(HF_TOKEN=TOKEN)
    assert list((tmp_path / "home").rglob("*")) == []


def test_sharded_weights_are_fetched_and_a_missing_shard_is_named(fetch, hub, tmp_path):
    files = {name: content for name, content in MODEL.items() if name != "model.safetensors"}
    shards = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 1000 for i in (1, 2)}
    index = json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}).encode()
    hub.repositories["models/owner/model"].files = {**files, **shards, "model.safetensors.index.json": index}
    assert fetch().returncode == 0
    lines = "".join(f"{hashlib.sha256(shards[name]).hexdigest()}  {name}\n" for name in sorted(shards))
    source = json.loads((tmp_path / "output/source.json").read_text())
    assert source["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    shutil.rmtree(tmp_path / "cache")
    del hub.repositories["models/owner/model"].files["model-00002-of-00002.safetensors"]
    assert "names model-00002-of-00002.safetensors, which is missing" in error_of(fetch())


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("model.safetensors", "has no safetensors files (only pytorch_model.bin, and a pickle can run code)"),
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer"),
    ],
)
def test_repository_that_holds_no_usable_model_is_refused_before_any_download(fetch, hub, removed, message):
    del hub.repositories["models/owner/model"].files[removed]
    assert message in error_of(fetch())
    assert hub.downloads() == []


# ---------------------------------------------------------------------------------------------- whole and verified


def test_connection_cut_once_goes_on_where_it_broke(fetch, hub, tmp_path):
    big = hub.repositories["models/owner/model"].files["model.safetensors"] = os.urandom(12 * 2**20)
    hub.cut_after["model.safetensors"] = 11 * 2**20
    assert fetch().returncode == 0
    ranges = [headers.get("range") for _, path, headers in hub.requests if path.startswith("/storage/")]
    assert ranges == [None, f"bytes={10 * 2**20}-"]  # huggingface_hub writes 10 MiB at a time
    assert (tmp_path / "output/model.safetensors").read_bytes() == big


def test_killed_fetch_leaves_no_output_and_the_next_fetches_only_what_is_missing(fetch, hub, tmp_path):
    stored = hub.repositories["models/owner/model"]
    big = stored.files["model.safetensors"] = os.urandom(1_000_000)
    hub.cut_after["model.safetensors"] = 10  # it waits a second before it retries, which is time to be killed
    process = fetch(wait=False)
    until = time.monotonic() + 30
    while "model.safetensors" not in hub.downloads() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "output").exists()
    hub.requests.clear()
    assert fetch().returncode == 0
    assert hub.downloads() == ["model.safetensors"]
    assert blob(tmp_path, "model.safetensors").read_bytes() == big
    assert list((tmp_path / "cache").rglob("*.incomplete")) == []


@pytest.mark.parametrize("damage", [b"", b"short", MODEL["model.safetensors"][:-1] + b"!"])
def test_damaged_file_of_a_whole_snapshot_is_found_and_fetched_again(fetch, hub, tmp_path, damage):
    fetch()
    blob(tmp_path, "model.safetensors").write_bytes(damage)
    hub.requests.clear()
    assert fetch().returncode == 0
    assert hub.downloads() == ["model.safetensors"]
    assert (tmp_path / "output/model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_damaged_file_without_a_network_is_an_error_and_not_used(fetch, tmp_path):
    fetch()
    blob(tmp_path, "model.safetensors").write_bytes(b"short")
    message = error_of(fetch(HF_HUB_OFFLINE="1"))
    assert f"owner/model at {COMMIT} is not complete in {tmp_path / 'cache'} and HF_HUB_OFFLINE is set" in message


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_file_that_arrives_changed_is_fetched_once_more_and_then_refused(fetch, hub, tmp_path, name):
    hub.corrupt[name] = 1
    done = fetch()
    assert done.returncode == 0
    assert "differs from the hub's" in done.stdout
    assert (tmp_path / "output" / name).read_bytes() == MODEL[name]
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "output")
    hub.corrupt[name] = 2
    assert f"{name} arrived twice with a wrong size or hash" in error_of(fetch())
    assert not (tmp_path / "output").exists()
    assert not list((tmp_path / "cache/complete").rglob("*.json"))


def test_broken_record_counts_for_nothing(fetch, hub, tmp_path):
    fetch()
    record = tmp_path / f"cache/complete/models/owner/model/{COMMIT}.json"
    assert set(json.loads(record.read_text())["files"]) == TAKEN
    record.write_text("{")
    hub.requests.clear()
    assert fetch().returncode == 0
    assert hub.downloads() == []  # the listing was requested, and the files' hashes agree with it
    assert set(json.loads(record.read_text())["files"]) == TAKEN


# ---------------------------------------------------------------------------------------------- one message each


def test_gated_model_says_whether_a_token_or_the_licence_is_missing(fetch, hub):
    repository = hub.repositories["models/owner/model"]
    repository.gated = True
    message = error_of(fetch())
    assert "owner/model is gated and no token was found; accept its licence at" in message
    assert "set HF_TOKEN" in message
    message = error_of(fetch(HF_TOKEN=TOKEN))
    assert "owner/model is gated and your token has no access to it; accept its licence at" in message
    repository.readers = (TOKEN,)
    assert fetch(HF_TOKEN=TOKEN).returncode == 0


def test_token_file_of_the_home_folder_is_read_and_left_alone(fetch, hub, tmp_path):
    hub.repositories["models/owner/model"].gated = True
    hub.repositories["models/owner/model"].readers = (TOKEN,)
    file = tmp_path / "home/.cache/huggingface/token"
    file.parent.mkdir(parents=True)
    file.write_text(TOKEN + "\n")
    assert fetch().returncode == 0
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == [file]
    assert file.read_text() == TOKEN + "\n"


def test_wrong_names_revisions_and_tokens_say_which_key_to_mend(fetch, hub):
    assert "owner/none is not on" in (message := error_of(fetch(name="owner/none")))
    assert "correct config.yaml: models.encoder.name" in message
    wrong = "f" * 40
    assert f"has no revision {wrong}" in (message := error_of(fetch(revision=wrong)))
    assert "correct config.yaml: models.encoder.revision" in message
    message = error_of(fetch(revision="main"))
    assert "models.encoder.revision: 'main' is a branch or a tag" in message
    assert COMMIT in message
    assert "'a/b/c' cannot be the name of a repository" in error_of(fetch(name="a/b/c"))
    assert "rejects your token (401)" in error_of(fetch(HF_TOKEN="hf_expired"))
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("http://hub.invalid", "its name cannot be resolved"),
    ],
)
def test_no_network_is_said_with_its_reason(fetch, tmp_path, endpoint, reason):
    message = error_of(fetch(HF_ENDPOINT=endpoint))
    assert f"was not completely fetched from {endpoint} ({reason}" in message
    assert "rerun with a network" in message
    assert not (tmp_path / "output").exists()


def test_silence_is_no_answer_in_time(fetch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "(no answer in time)" in error_of(fetch(HF_ENDPOINT=address, HF_HUB_ETAG_TIMEOUT="1"))


def test_page_of_a_captive_portal_is_not_taken_for_the_hub(fetch, hub):
    hub.page = b"<html>log in</html>"
    assert "the answer is not from a hub" in error_of(fetch())


def test_overloaded_hub_is_asked_again_and_then_reported(fetch, hub):
    hub.failures = [503, 429]
    assert fetch().returncode == 0
    hub.repositories["models/owner/other"] = StoredRepository(dict(MODEL), COMMIT)
    hub.failures = [500, 500, 500]
    assert "is overloaded or down (500, after several tries)" in error_of(fetch(name="owner/other"))


def test_full_disk_is_found_before_the_first_byte(fetch, hub, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    hub.repositories["models/owner/model"].sizes["model.safetensors"] = free + 10**12
    message = error_of(fetch())
    needed, there = (float(word) for word in message.replace(" GB", "").split() if word.replace(".", "").isdigit())
    assert needed == pytest.approx((free + 10**12 + 2**30) / 1e9, abs=0.5)  # the free space may change a little
    assert there == pytest.approx(free / 1e9, abs=0.5)
    assert "set the key cache" in message
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full; free some space"),
        (errno.EDQUOT, "raise your quota"),
        (errno.EROFS, "a writable folder"),
    ],
)
def test_disk_that_fails_during_the_download_is_said(number, words):
    from nli.hub.errors import Repository, explain

    repository = Repository("model", "owner/model", COMMIT, "models.encoder")
    message = str(explain(OSError(number, os.strerror(number)), repository, Path("/data/cache"), False))
    assert words in message
    assert "/data/cache" in message


def test_cache_that_cannot_be_written_is_said(fetch, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert "set the key cache to a writable folder" in error_of(fetch())


def whole_cache(cache: Path) -> Repository:
    """The cache after a fetch of config.json: the file and its record."""
    repository = Repository("model", "owner/model", COMMIT, "models.encoder")
    folder = snapshot_folder(repository, cache)
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(MODEL["config.json"])
    file = {"size": 25, "sha256": hashlib.sha256(MODEL["config.json"]).hexdigest()}
    record = cache / f"complete/models/owner/model/{COMMIT}.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"listing": ["config.json"], "files": {"config.json": file}}))
    return repository


def refuse(*arguments, **options):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(arguments[0]))


def test_whole_cache_of_another_user_is_read_and_not_written(tmp_path, monkeypatch):
    repository = whole_cache(tmp_path)
    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    files = nli.hub.cache.fetch(repository, tmp_path, list).files
    assert files["config.json"]["size"] == len(MODEL["config.json"])
    changed = snapshot_folder(repository, tmp_path) / "config.json"
    changed.write_bytes(b"x" * 25)
    with pytest.raises(StudyError, match="Permission denied; set the key cache to a writable folder"):
        nli.hub.cache.fetch(repository, tmp_path, list)
    assert changed.exists()


def test_record_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    repository = whole_cache(tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(StudyError, match=r"source\.json: Permission denied; fix its permissions"):
        read_json(tmp_path / "source.json")
    assert nli.hub.cache.whole_record(repository, tmp_path) is None


def test_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    repository = whole_cache(tmp_path)
    monkeypatch.setattr(nli.hub.cache, "sha256", refuse)
    with pytest.raises(StudyError, match=r"config\.json: Permission denied; fix its permissions"):
        nli.hub.cache.fetch(repository, tmp_path, list)


# ---------------------------------------------------------------------------------------------- the token


def test_token_goes_to_the_hub_alone_and_into_no_file(fetch, hub, tmp_path):
    hub.repositories["models/owner/model"].gated = True
    loud = {"HF_TOKEN": TOKEN, "HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug", "NLI_TRACEBACK": "1"}
    fetch(**loud)  # refused, with a body that repeats the token
    hub.tokens.clear()
    fetch(**loud)  # refused as invalid, likewise
    hub.tokens.add(TOKEN)
    hub.repositories["models/owner/model"].readers = (TOKEN,)
    hub.failures = [500]
    hub.cut_after["model.safetensors"] = 5
    assert fetch(**loud).returncode == 0
    sent = {path.split("/")[1] for _, path, headers in hub.requests if TOKEN in headers.get("authorization", "")}
    assert sent == {"api", "owner"}  # the storage host, to which the hub redirects, gets no token
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "job.log" in written
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


def test_token_that_cannot_be_one_is_refused_without_being_repeated(fetch, hub):
    message = error_of(fetch(HF_TOKEN="hf_one\nhf_two"))
    assert "HF_TOKEN: not a token" in message
    assert "hf_one" not in message
    assert hub.requests == []

"""Preflight's verdicts on machines simulated by fake programs and tiny files."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nli.base.errors import StudyError
from nli.hub import needs
from nli.hub.cache import storage_folder
from nli.launch import disk, preflight
from nli.launch.preflight import Check, Launch
from nli.machine import gpus
from nli.study.resolve import load_study

HERE, CLUSTER = Launch(), Launch(remote=True)
T4 = "0, GPU-11aa, Tesla T4, 15360, 15001, 7.5, 580.82.07"
A100 = "1, GPU-22bb, NVIDIA A100-SXM4-40GB, 40960, 40400, 8.0, 580.82.07"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def paper(config, tmp_path):
    """The study at paper scale, with empty results and cache: `paper(only=[...], ...)`."""

    def resolve(**overrides):
        folders = {"results": str(tmp_path / "results"), "cache": str(tmp_path / "cache")}
        return load_study(config, {"scale": "paper", **folders, **overrides})

    return resolve


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a fake program first on PATH: `program(name, script)`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return install


@pytest.fixture
def hub():
    """The address of a hub that answers every request with 404, and below /gateway with 504."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(504 if self.path == "/gateway" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def gpu_check(study, lines, launch=HERE):
    return preflight.check_gpu(study, launch, gpus.parse("\n".join(lines)), "")


def complete(study, item, size, written):
    """A repository in the cache whose record says `size` bytes and whose file has `written` bytes."""
    folder = storage_folder(item, needs.cache_folder(study))
    (folder / "snapshots" / item.revision).mkdir(parents=True)
    (folder / "snapshots" / item.revision / "model.safetensors").write_bytes(b"x" * written)
    record = Path(study.cache, "complete", f"{item.kind}s", item.name, f"{item.revision}.json")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"files": {"model.safetensors": {"size": size, "sha256": "0"}}}))


# ---------------------------------------------------------------------------------------------- GPU


def test_a_16_gb_t4_is_enough_for_the_whole_study(paper):
    check = gpu_check(paper(), [T4])
    assert check.status == "ok"
    assert "Tesla T4, 15.0 GiB, 14.6 free" in check.found
    assert "needs 15 GiB" in check.found


@pytest.mark.parametrize(
    ("mib", "only", "status"),
    [
        (15109, [], "ok"),  # a T4 with an older driver: 14.75 GiB
        (12288, [], "fail"),  # 12 GiB: too little for QLoRA
        (12288, ["roberta"], "ok"),  # which needs 12
        (8192, ["roberta"], "fail"),
        (10240, ["icl"], "ok"),
        (8192, ["icl"], "fail"),
    ],
)
def test_gpu_memory_is_held_against_what_the_selected_experiments_need(paper, mib, only, status):
    assert gpu_check(paper(only=only), [f"0, GPU-1, Card, {mib}, {mib}, 8.6, 580"]).status == status


def test_memory_that_another_program_holds_is_a_warning(paper):
    check = gpu_check(paper(), ["0, GPU-1, Tesla T4, 15360, 4096, 7.5, 580"])
    assert (check.status, "4.0 free" in check.found) == ("warn", True)


def test_memory_that_the_driver_does_not_report_is_a_warning(paper):
    assert gpu_check(paper(), ["0, GPU-1, NVIDIA GB10, [N/A], [N/A], 12.1, 580"]).status == "warn"


def test_a_cluster_is_neither_green_nor_red_about_gpu_and_memory(paper):
    for check in (
        preflight.check_gpu(paper(), CLUSTER, [], "nvidia-smi is not on PATH"),
        preflight.check_bf16(paper(), CLUSTER, []),
        preflight.check_machine(paper(), CLUSTER),
    ):
        assert (check.status, check.found.startswith("checked on the node")) == ("skipped", True)


def test_demo_and_a_fetch_alone_need_no_gpu(paper, demo_study):
    assert preflight.check_gpu(demo_study, HERE, [], "no driver").status == "ok"
    assert preflight.check_gpu(paper(), Launch(gpu_jobs=False), [], "no driver").status == "ok"
    assert preflight.check_gpu(paper(), HERE, [], "no driver") == Check(
        "gpu",
        "fail",
        "none: no driver",
        "start the study on a machine with an NVIDIA GPU of 15 GiB, or on a cluster (--executor slurm)",
    )


def test_nvidia_smi_is_asked_and_its_failures_are_told(program, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program("nvidia-smi", f"echo '{T4}'; echo '{A100}'")
    found, problem = gpus.visible_gpus(os.environ)
    assert [(gpu.name, gpu.total, gpu.capability) for gpu in found] == [
        ("Tesla T4", 15.0, 7.5),
        ("NVIDIA A100-SXM4-40GB", 40.0, 8.0),
    ]
    assert problem == ""
    program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    failed = "nvidia-smi failed with exit status 18: Failed to initialize NVML: Driver/library version mismatch"
    assert gpus.visible_gpus(os.environ) == ([], failed)
    program("nvidia-smi", "exit 0")
    assert gpus.visible_gpus(os.environ) == ([], "nvidia-smi lists no GPU")
    assert gpus.visible_gpus({"PATH": "/no/such/folder"}) == ([], "nvidia-smi is not on PATH")


def test_nvidia_smi_that_hangs_is_left_alone(program, monkeypatch):
    monkeypatch.setattr(gpus, "TIMEOUT", 0.2)
    program("nvidia-smi", "sleep 30")  # a child that keeps the pipe open and outlives its parent
    started = time.monotonic()
    assert "did not answer" in gpus.visible_gpus(os.environ)[1]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        (None, ["0", "1"]),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("GPU-22", ["1"]),
        ("0,7,1", ["0"]),  # CUDA stops at the first missing one
        ("", []),
        ("-1", []),
    ],
)
def test_cuda_visible_devices_is_honoured(wanted, indices):
    assert [gpu.index for gpu in gpus.select(gpus.parse(f"{T4}\n{A100}"), wanted)] == indices


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (None, "0"),
        ("2,3", "2"),
        ("1", "1"),
        ("GPU-11aa,GPU-22bb", "GPU-11aa"),
        ("MIG-GPU-0f1e/5/0,MIG-GPU-0f1e/6/0", "MIG-GPU-0f1e/5/0"),
        ("", ""),  # no GPU, on purpose
        ("-1", "-1"),
    ],
)
def test_jobs_see_the_first_gpu_alone(given, left):
    assert gpus.first_visible({} if given is None else {"CUDA_VISIBLE_DEVICES": given}) == left


def test_every_script_with_a_model_hides_the_other_gpus_before_torch_is_there(root):
    code = (
        "import os, sys; sys.path.insert(0, 'scripts')\n"
        "class Watch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'torch': print(os.environ['CUDA_VISIBLE_DEVICES']); sys.exit()\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import nli.runtime"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "2,3"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"


def test_hidden_gpus_are_named_as_the_cause_and_a_slice_is_not_refused(program, paper, monkeypatch):
    program("nvidia-smi", f"echo '{A100}'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.visible_gpus(os.environ) == ([], "CUDA_VISIBLE_DEVICES='' shows none of the 1 here")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-0f1e")
    found, _ = gpus.visible_gpus(os.environ)
    assert preflight.check_gpu(paper(), HERE, found, "").status == "warn"


@pytest.mark.parametrize(
    ("asked", "line", "status"),
    [("float16", T4, "ok"), ("bfloat16", T4, "warn"), ("bfloat16", A100, "ok"), ("float16", A100, "ok")],
)
def test_bfloat16_needs_compute_capability_8(paper, asked, line, status):
    study = paper(models={"decoder": {"quantization": {"compute_dtype": asked}}})
    check = preflight.check_bf16(study, HERE, gpus.parse(line))
    assert (check.status, "falls back to float16" in check.found) == (status, status == "warn")


def test_bfloat16_matters_to_the_decoder_alone(paper):
    assert preflight.check_bf16(paper(only=["roberta"]), HERE, gpus.parse(T4)).status == "skipped"


@pytest.mark.parametrize(
    ("memory", "cores", "scale", "status"),
    [
        (12.7, 4, "paper", "ok"),
        (12.7, 2, "paper", "warn"),
        (8.0, 8, "paper", "fail"),
        (3.8, 2, "demo", "ok"),
        (2.0, 2, "demo", "fail"),
        (None, 4, "paper", "ok"),
    ],
)
def test_machine_needs_memory_and_wants_cores(paper, monkeypatch, memory, cores, scale, status):
    monkeypatch.setattr(preflight, "machine_memory", lambda: memory)
    monkeypatch.setattr(preflight, "available_cores", lambda: cores)
    assert preflight.check_machine(paper(scale=scale), HERE).status == status


@pytest.mark.parametrize(
    ("experiment", "scale", "memory", "status"),
    [
        ("qlora/attempt2_merged_original", "paper", 19.6, "ok"),  # 20 GiB minus what the firmware reserves
        ("qlora/attempt2_merged_original", "paper", 16.0, "fail"),
        ("qlora/attempt2_merged_dequantized", "paper", 16.0, "fail"),
        ("qlora/attempt2_merged", "paper", 16.0, "ok"),
        ("qlora/attempt2_merged_original", "demo", 4.0, "ok"),
    ],
)
def test_merge_into_16_bits_needs_the_whole_decoder_in_memory(paper, monkeypatch, experiment, scale, memory, status):
    monkeypatch.setattr(preflight, "machine_memory", lambda: memory)
    monkeypatch.setattr(preflight, "available_cores", lambda: 4)
    study = paper(scale=scale, rungs="all", only=["qlora/attempt2", experiment])
    check = preflight.check_machine(study, HERE)
    assert (check.status, "need 20 GiB" in check.advice) == (status, status == "fail")


# ---------------------------------------------------------------------------------------------- disk, cache, hub


def test_disk_adds_up_what_the_runs_leave_and_what_is_still_to_fetch(paper):
    study = paper(only=["roberta/full", "qlora/attempt2_merged"], seeds=[1, 2])
    growing = {name: need for name, _, need in disk.disk_needs(study, needs.missing(study), trains=True, at_once=False)}
    assert growing["results"] == pytest.approx(0.5 + 2 * 1.5 + 2 * 6.0 + 12.9)
    assert growing["cache"] == pytest.approx(1.43 + 16.08 + 0.23)
    at_once = disk.disk_needs(study, [], trains=True, at_once=True)
    assert at_once[0][2] == pytest.approx(0.5 + 2 * 1.5 + 2 * 6.0 + 2 * 12.9)
    assert at_once[1][2] == 0


def test_disk_counts_the_seeds_of_each_experiment(paper):
    growing = disk.disk_needs(paper(only=["roberta/full", "icl/prompt1"]), [], trains=True, at_once=False)
    assert growing[0][2] == pytest.approx(0.5 + 3 * 1.5 + 0.05 + 12.9)  # three seeds of the encoder, one of the prompt


def test_disk_counts_no_finished_run_and_no_part_that_is_fetched(paper):
    study = paper(only=["roberta/full"], seeds=[42])
    run = Path(study.results, "paper/roberta/full/seed42/run.json")
    run.parent.mkdir(parents=True)
    run.write_text("{}")
    encoder = next(item for item in needs.hub_items(study) if item.role == "encoder")
    blobs = storage_folder(encoder, needs.cache_folder(study)) / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "abc.incomplete").open("wb") as file:
        file.truncate(430_000_000)
    growing = {name: need for name, _, need in disk.disk_needs(study, needs.missing(study), trains=True, at_once=False)}
    assert growing["results"] == pytest.approx(0.5)
    assert growing["cache"] == pytest.approx(1.0 + 0.23)


@pytest.mark.parametrize(("free", "status"), [(57.9e9, "ok"), (57.5e9, "fail")])
def test_folders_on_one_disk_share_its_free_space(paper, monkeypatch, free, status):
    # RoBERTa 1.5, a prompt 0.05, two of QLoRA 0.4, merges 6.0 and 16.5, a head 0.2: 24.65; then 0.5 and
    # checkpoints of 12.9 make 38.05; 17.74 to fetch and 2.0 of temporary files make 57.79
    only = ["roberta/full", "icl/prompt1", "qlora/attempt2", "qlora/attempt3", "linear_head/first_token"]
    study = paper(only=[*only, "qlora/attempt2_merged", "qlora/attempt2_merged_original"], seeds=[42])
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    monkeypatch.setattr(disk.tempfile, "gettempdir", lambda: study.results)
    check = preflight.check_disk(study, HERE, needs.missing(study))
    assert (check.status, "57.8 GB needed" in check.found) == (status, True), check.found


def test_a_folder_that_cannot_be_written_is_red(paper, tmp_path):
    (tmp_path / "file").write_text("")
    study = paper(results=str(tmp_path / "file/results"), cache=str(tmp_path / "file/cache"))
    assert "is a file, not a folder" in preflight.check_results(study).found
    assert preflight.check_results(study).status == "fail"
    assert preflight.check_cache(study, needs.hub_items(study)).status == "fail"
    assert preflight.check_cache(study, []).status == "ok"  # all is there, so nothing will be written


@pytest.mark.parametrize(("size", "whole"), [(7, True), (8, False)])
def test_what_a_record_says_is_fetched_only_if_its_files_are_whole(paper, size, whole):
    study = paper()
    item = next(item for item in needs.hub_items(study) if item.role == "decoder")
    assert not needs.is_fetched(study, item)
    complete(study, item, size=size, written=7)
    assert needs.is_fetched(study, item) is whole
    names = [missing.role for missing in needs.missing(study)]
    assert names == (["data", "encoder"] if whole else ["data", "decoder", "encoder"])


@pytest.mark.parametrize(
    ("folder", "source", "whole"),
    [
        ("models/hub/encoder", {"id": "owner/model", "revision": "ab" * 20}, True),
        ("models/hub/encoder", {"id": "owner/other", "revision": "ab" * 20}, False),
        ("models/hub/encoder", {"id": "owner/model", "revision": "old"}, False),
        ("models/hub/encoder", ["broken"], False),
        ("data/raw", {"source": "hub owner/data", "revision": "de" * 20}, True),
        ("data/raw", {"source": "hub owner/other", "revision": "de" * 20}, False),
        ("data/raw", {"source": "hub owner/data", "revision": "old"}, False),
        ("data/raw", {"source": "files /data", "revision": None}, False),
    ],
)
def test_output_of_another_model_or_data_set_is_not_taken_for_the_configured_one(paper, folder, source, whole):
    study = paper(
        only=["roberta"],
        models={"encoder": {"name": "owner/model", "revision": "ab" * 20}},
        data={"name": "owner/data", "revision": "de" * 20},
    )
    output = Path(study.results, "paper", folder)
    output.mkdir(parents=True)
    (output / "source.json").write_text(json.dumps(source))
    item = next(item for item in needs.hub_items(study) if (item.kind == "dataset") == (folder == "data/raw"))
    assert needs.is_fetched(study, item) is whole


def test_set_on_the_hub_is_fetched_once_and_only_for_experiments_that_answer_it(paper):
    rows = {"name": "owner/hans", "revision": "ab" * 20, "file": "hans.txt"}
    sets = {"sets": {"data": {"title": "HANS here", "source": rows}}}  # a name that another role has
    answers = {"roberta": {"evaluation": {"splits": ["matched", "data"]}}}
    study = paper(only=["roberta"], data=sets, families=answers)
    item = next(item for item in needs.hub_items(study) if item.name == "owner/hans")
    assert not needs.is_fetched(study, item)
    record = Path(study.results, "paper/data/sets/data.json")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"source": "hub owner/hans", "revision": "ab" * 20}))
    assert needs.is_fetched(study, item)
    assert [item.name for item in needs.hub_items(paper(only=["icl"], data=sets, families=answers))][1:] == [
        study.models.decoder.name
    ]


def test_only_the_models_of_the_selected_experiments_are_fetched(paper):
    assert [item.role for item in needs.missing(paper(only=["roberta"]))] == ["data", "encoder"]
    assert [item.role for item in needs.missing(paper(only=["icl"], data={"source": "files", "path": "x"}))] == [
        "decoder"
    ]


def test_token_is_looked_for_where_the_hub_library_does_and_never_shown(paper, tmp_path):
    missing = needs.missing(paper())
    (tmp_path / "token").write_text(TOKEN)
    for environment, status, where in (
        ({"HF_TOKEN": TOKEN}, "ok", "HF_TOKEN"),
        ({"HF_HOME": str(tmp_path)}, "ok", "token file"),
        ({"HF_TOKEN_PATH": str(tmp_path / "token")}, "ok", "token file"),
        ({"HF_HOME": str(tmp_path / "none"), "HF_TOKEN": " "}, "warn", "none found"),
    ):
        check = preflight.check_token(missing, environment)
        assert (check.status, where in check.found, TOKEN in str(check)) == (status, True, False)
    assert preflight.check_token([], {}).status == "skipped"  # the weights are there


def test_network_is_asked_only_if_something_is_missing(paper, hub):
    study = paper()
    missing = needs.missing(study)
    assert preflight.check_network(study, missing, {"HF_ENDPOINT": hub}).status == "ok"  # 404 is an answer
    assert preflight.check_network(study, [], {"HF_ENDPOINT": "http://127.0.0.1:9"}).status == "skipped"
    gateway = preflight.check_network(study, missing, {"HF_ENDPOINT": f"{hub}/gateway"})
    assert (gateway.status, gateway.found) == ("fail", "127.0.0.1: answered with HTTP status 504")
    refused = preflight.check_network(study, missing, {"HF_ENDPOINT": "http://user:secret@127.0.0.1:9"})
    assert (refused.status, refused.found) == ("fail", "127.0.0.1: cannot be reached (Connection refused)")
    assert "secret" not in str(refused)
    offline = preflight.check_network(study, missing, {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "1"})
    assert (offline.status, offline.advice) == ("fail", "unset it for the fetch")


def test_a_name_look_up_that_hangs_does_not_hold_preflight_up(paper, monkeypatch):
    monkeypatch.setattr(needs, "NETWORK_TIMEOUT", 0.2)
    answered = threading.Event()

    def hang(*arguments, **options):
        answered.wait(20)
        raise OSError

    monkeypatch.setattr(needs.urllib.request, "urlopen", hang)
    started = time.monotonic()
    assert needs.reach_hub({"HF_ENDPOINT": "http://hub.invalid"}) == ("hub.invalid", "no answer in 0.2 s")
    assert time.monotonic() - started < 5
    answered.set()


def test_source_files_must_be_there(paper, demo_study, tmp_path):
    study = paper(data={"source": "files", "path": str(tmp_path / "mnli")})
    assert preflight.check_data(study, []).status == "fail"
    (tmp_path / "mnli").mkdir()
    for name in ("train", "validation_matched"):
        (tmp_path / "mnli" / f"{name}.jsonl").write_text("{}\n")
    assert "validation_mismatched" in preflight.check_data(study, []).found
    (tmp_path / "mnli/validation_mismatched.jsonl").write_text("{}\n")
    assert preflight.check_data(study, []).status == "ok"
    assert preflight.check_data(demo_study, []).status == "ok"


# ---------------------------------------------------------------------------------------------- software


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("echo 'apptainer version 1.2.0'", "ok"),
        ("echo 'apptainer version 1.10.1-1.el9'", "ok"),
        ("echo 'apptainer version 1.1.9'", "fail"),
        ("echo 'singularity-ce version 4.1.2'", "ok"),
        ("echo 'singularity version 3.7.4'", "fail"),
        ("echo 'what is this'", "fail"),
        ("exit 3", "fail"),
    ],
)
def test_container_runtime_is_new_enough(program, said, status):
    program("apptainer", said)
    assert preflight.check_runtime(Launch(containers=True)).status == status
    assert preflight.check_runtime(HERE).status == "skipped"


def test_missing_container_runtime_is_red(monkeypatch):
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert preflight.check_runtime(Launch(containers=True)).status == "fail"


def test_installed_packages_are_held_against_the_locks(tmp_path, monkeypatch, paper, demo_study):
    installed = {"one": "1.0", "torch": "2.13.0+cpu"}

    def version(name):
        if name in installed:
            return installed[name]
        raise preflight.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(preflight.metadata, "version", version)
    lock = tmp_path / "study.lock"
    hashes = f"    --hash=sha256:{64 * 'a'} \\\n    --hash=sha256:{64 * 'b'}\n"
    for pins, status, found in (
        ("# made\none==1.0\ntorch==2.13.0  # the CPU's build is the same version", "ok", "2 packages as in study.lock"),
        ("one==1.0\ntwo==2.0 ; sys_platform == 'emscripten'", "ok", "1 packages as in study.lock"),
        (
            f"one==1.0 ; python_version > '3' \\\n{hashes}torch==2.13.0 \\\n{hashes}",
            "ok",
            "2 packages as in study.lock",
        ),
        ("one==1.1", "warn", "not as locked: one 1.0 (==1.1)"),
        ("one==1.1\ntwo==2.0", "fail", "not installed: two"),
    ):
        lock.write_text(pins + "\n")
        check = preflight.check_versions(demo_study, HERE, [lock])
        assert (check.status, check.found) == (status, found)
    assert preflight.check_versions(demo_study, Launch(containers=True), [lock]).status == "skipped"
    lock.write_text("torch==2.13.0\n")
    assert "build without CUDA" in preflight.check_versions(paper(), HERE, [lock]).found
    assert preflight.check_versions(paper(), HERE, [lock]).status == "fail"
    assert preflight.check_versions(paper(), Launch(gpu_jobs=False), [lock]).status == "ok"
    installed["torch"] = "2.13.0+cu130"
    assert preflight.check_versions(paper(), HERE, [lock]).status == "ok"


# ---------------------------------------------------------------------------------------------- lines and record


def test_a_ready_machine_is_green_and_leaves_a_record(paper, program, hub, monkeypatch, tmp_path):
    program("nvidia-smi", f"echo '{A100}'")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(preflight, "machine_memory", lambda: 64.0)
    monkeypatch.setattr(preflight, "available_cores", lambda: 8)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1e12}))
    stream = io.StringIO()
    preflight.preflight(paper(), HERE, [], stream)
    text = Path(paper().results, "paper/preflight.json").read_text()
    record = json.loads(text)
    assert (record["scale"], record["verdict"]) == ("paper", "ok")
    assert {check["name"]: check["status"] for check in record["checks"]} == {
        **dict.fromkeys(("gpu", "bf16", "machine", "results", "disk", "cache", "token", "network", "data"), "ok"),
        "containers": "skipped",
        "versions": "ok",
    }
    for shown in (text, stream.getvalue()):
        assert TOKEN not in shown
        assert str(tmp_path) not in shown
        assert "~/results/paper" in shown
    assert "\033" not in stream.getvalue()


def test_red_lines_end_with_one_error_that_names_them(paper, program, monkeypatch):
    program("nvidia-smi", f"echo 'driver trouble {TOKEN}'; exit 9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(preflight, "machine_memory", lambda: 64.0)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1e12}))
    stream = io.StringIO()
    with pytest.raises(StudyError, match="preflight: gpu, network failed; nothing was started"):
        preflight.preflight(paper(), HERE, [], stream)
    assert "driver trouble (token)" in stream.getvalue()
    assert json.loads(Path(paper().results, "paper/preflight.json").read_text())["verdict"] == "fail"


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_is_for_terminals_that_want_it(monkeypatch, terminal, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    preflight.report([Check("gpu", "fail", "none", "get one")], stream)
    assert ("\033[31mfail" in stream.getvalue()) is coloured
    assert "fail" in stream.getvalue()
    assert "get one" in stream.getvalue()

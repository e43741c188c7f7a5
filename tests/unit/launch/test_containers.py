"""Which image a job runs in, what a container sees, and every way in which building one can fail.

No test here needs Apptainer: a fake one on PATH records how it was called.
"""

import hashlib
import http.client
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import ROOT

from nli.base.errors import StudyError
from nli.launch import containers, image_build
from nli.study.resolve import load_study
from nli.study.schema import Containers

STAND_IN = """#!/bin/sh
if [ "$1" = --version ]; then echo "{version}"; exit 0; fi
printf '%s\\n' "$@" > "$STAND_IN_CALLS"
for word; do before=$image; image=$definition; definition=$word; done
{build}
"""
WRITES = 'echo whole > "$image"; echo "INFO: Build complete"'


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a fake `apptainer` on PATH: `stand_in(version, shell commands of its build)`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("sh", "sleep", "git", "python", "cat"):
        (programs / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("STAND_IN_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("APPTAINER_TMPDIR", str(tmp_path))
    monkeypatch.chdir(ROOT)
    ranges = tmp_path / "ranges"
    ranges.write_text(f"{os.getuid()}:100000:65536\n")
    monkeypatch.setattr(image_build, "ID_RANGES", (ranges, ranges))
    monkeypatch.setattr(image_build, "SPACE", {name: {"cpu": (0, 0), "cuda": (0, 0)} for name in containers.IMAGES})

    def make(version="apptainer version 1.4.5", build=WRITES, name="apptainer"):
        program = programs / name
        program.write_text(STAND_IN.format(version=version, build=build))
        program.chmod(0o755)

    return make


def build(tmp_path, **given):
    """Build the study image to tmp_path/study.sif."""
    arguments = {"name": "study", "base": None, "torch": "auto"} | given
    image_build.build_image(output=tmp_path / "study.sif", log=tmp_path / "build.log", **arguments)


def left(tmp_path):
    """The files that a build left behind, except the log and the test's own."""
    return sorted(path.name for path in tmp_path.iterdir() if path.name not in ("bin", "calls", "ranges", "build.log"))


# ------------------------------------------------------------------------------------------------ errors


def test_missing_program_is_said_with_what_to_do(stand_in):
    with pytest.raises(StudyError, match="neither apptainer nor singularity is on PATH; install it"):
        containers.find_program()


@pytest.mark.parametrize(
    "version", ["apptainer version 1.1.9", "singularity-ce version 3.11.4", "singularity version 3.8.7-1.el7"]
)
def test_too_old_a_program_is_refused_before_the_build(stand_in, tmp_path, version):
    stand_in(version)
    with pytest.raises(StudyError, match=r"cannot build the images, which needs apptainer 1\.2 or singularity-ce 4\.0"):
        build(tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("version", ["apptainer version 1.2.0", "apptainer version 1.10.0-1.fc44"])
def test_new_enough_a_program_builds(stand_in, tmp_path, version):
    stand_in(version)
    build(tmp_path)
    assert left(tmp_path) == ["study.sif"]


def test_singularity_serves_where_apptainer_is_missing(stand_in, tmp_path):
    stand_in("singularity-ce version 4.1.3", name="singularity")
    build(tmp_path)
    assert (tmp_path / "study.sif").read_text() == "whole\n"


def test_user_without_id_ranges_is_told_what_an_administrator_can_do(stand_in, tmp_path, monkeypatch):
    stand_in()
    (tmp_path / "ranges").write_text("somebody:100000:65536\n")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(image_build.getpass, "getuser", lambda: "ada")
    with pytest.raises(StudyError, match="usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ada"):
        build(tmp_path)
    (tmp_path / "ranges").write_text("ada:100000:65536\n")
    assert image_build.fakeroot_option() == ["--fakeroot"]


def test_missing_space_is_said_before_the_build_with_how_much_is_needed(stand_in, tmp_path, monkeypatch):
    stand_in()
    monkeypatch.setattr(image_build, "SPACE", {"study": {"cpu": (4, 1), "cuda": (10**6, 10**5)}})
    with pytest.raises(StudyError, match=r"needs up to 1e\+06 GB in .* and 100000 GB in .*, but .* has .* GB free"):
        build(tmp_path)
    assert not (tmp_path / "calls").exists()


def test_missing_temporary_folder_is_named(stand_in, tmp_path, monkeypatch):
    stand_in()
    monkeypatch.setenv("APPTAINER_TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(StudyError, match=r"APPTAINER_TMPDIR: no folder .*nowhere"):
        build(tmp_path)


def test_failed_build_tells_the_cause_and_the_log_and_leaves_nothing(stand_in, tmp_path):
    stand_in(build='echo half > "$image"; echo "INFO: fine so far"; echo "FATAL: no such package"; exit 255')
    with pytest.raises(StudyError, match=r"the build failed \(FATAL: no such package\); see .*build.log"):
        build(tmp_path)
    assert left(tmp_path) == []
    assert "INFO: fine so far" in (tmp_path / "build.log").read_text()


def test_old_image_survives_a_failed_build(stand_in, tmp_path):
    (tmp_path / "study.sif").write_text("old")
    stand_in(build='echo half > "$image"; exit 1')
    with pytest.raises(StudyError):
        build(tmp_path)
    assert (tmp_path / "study.sif").read_text() == "old"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_killed_build_leaves_no_image_that_a_later_run_would_trust(stand_in, tmp_path, number):
    stand_in(build=f'echo $$ > {tmp_path}/pid; echo half > "$image"; exec sleep 60')
    code = (
        "import sys; from pathlib import Path; from nli.launch import image_build as b\n"
        f"b.SPACE = {{'study': {{'cuda': (0, 0)}}}}; b.ID_RANGES = (Path({str(tmp_path / 'ranges')!r}),)\n"
        f"b.build_image('study', Path({str(tmp_path / 'study.sif')!r}), None, 'auto', Path({str(tmp_path / 'l')!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    partial = tmp_path / ".partial-study.sif"
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert partial.read_text() == "half\n"
    process.send_signal(number)
    assert process.wait(20) != 0
    assert not (tmp_path / "study.sif").exists()
    pid = int((tmp_path / "pid").read_text())
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid), "the program outlives the build"
    for name in ("l", "pid"):
        (tmp_path / name).unlink()
    if number == signal.SIGKILL:  # nothing could clean up, so the next build does
        stand_in()
        build(tmp_path)
        assert not partial.exists()
        assert not list(tmp_path.glob("nli-build-*"))
    else:
        assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"study": "no/such.sif"}, "containers.study: no image at no/such.sif"),
        ({"report": "biuld"}, "containers.report: no image at biuld"),
        (
            {"study": "docker://a;touch b"},
            "containers.study: takes an image without spaces or shell characters, got ';'",
        ),
        ({"report": "--bind=/:/host"}, "containers.report: takes an image without spaces or shell characters, got '-'"),
    ],
)
def test_image_that_is_not_there_is_refused(given, message):
    with pytest.raises(StudyError, match=message):
        [containers.image_of(Containers(**given), name) for name in containers.IMAGES]


def test_base_that_is_not_there_is_refused(stand_in, tmp_path):
    stand_in()
    with pytest.raises(StudyError, match=r"containers\.base: no directory or image at /no/such/base"):
        build(tmp_path, base="/no/such/base")


# ------------------------------------------------------------------------------------------------ definitions


def test_environment_and_images_are_installed_from_the_same_locks():
    makefile = (ROOT / "Makefile").read_text()
    locks = re.search(r"^LOCKS := (.*)$", makefile, re.MULTILINE).group(1).split()
    for name in containers.IMAGES:
        definition = (ROOT / f"containers/{name}.def").read_text()
        files = re.search(r"^%files\n((?:    .*\n)+)", definition, re.MULTILINE).group(1)
        sources = dict(reversed(line.split()) for line in files.splitlines())
        lock = sources["/opt/nli/packages.lock"]
        assert lock == f"containers/{name}.lock"
        assert lock in locks
        assert "install_packages.sh /opt/nli/packages.lock" in definition
        for source in sources.values():
            assert (ROOT / source).is_file()


def test_both_images_have_the_same_base_pinned_by_digest():
    bases = {
        re.search(r"^    base=(.*)$", (ROOT / f"containers/{name}.def").read_text(), re.MULTILINE).group(1)
        for name in containers.IMAGES
    }
    assert len(bases) == 1
    assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", bases.pop())


def test_definition_uses_exactly_the_arguments_that_it_declares():
    for name in containers.IMAGES:
        text = (ROOT / f"containers/{name}.def").read_text()
        declared = set(re.findall(r"^    (\w+)=", text[text.index("%arguments") : text.index("%files")], re.MULTILINE))
        assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == declared


def test_labels_carry_version_commit_and_lock_hash(stand_in, tmp_path):
    stand_in()
    build(tmp_path)
    calls = (tmp_path / "calls").read_text()
    digest = hashlib.sha256((ROOT / "containers/study.lock").read_bytes()).hexdigest()
    assert f"lock={digest}\n" in calls
    assert re.search(r"^version=\d+\.\d+\.\d+$", calls, re.MULTILINE)
    assert re.search(r"^commit=([0-9a-f]{40}\+?|unknown)$", calls, re.MULTILINE)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("docker://mirror.example/python:3.11-slim", ["bootstrap=docker", "base=mirror.example/python:3.11-slim"]),
        ("oras://mirror.example/base:1", ["bootstrap=oras", "base=mirror.example/base:1"]),
        ("containers", ["bootstrap=localimage", f"base={ROOT / 'containers'}"]),
    ],
)
def test_base_image_is_an_address_or_a_folder(base, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert [word for word in image_build.base_arguments(base) if word != "--build-arg"] == expected


def test_variant_of_torch_and_unverified_packages_reach_the_build(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("NLI_UNVERIFIED", "torch")
    stand_in(build=f"cat {tmp_path}/nli-build-*/mnt/build.env; {WRITES}")
    build(tmp_path, torch="cpu")
    assert "\ntorch=cpu\n" in (tmp_path / "calls").read_text()
    assert "export NLI_UNVERIFIED=torch" in (tmp_path / "build.log").read_text()


# ------------------------------------------------------------------------------------------------ the site's pip


def test_pip_settings_reach_the_build_and_the_folders_they_name_are_bound(tmp_path):
    wheels, index, certificate = tmp_path / "my wheels", tmp_path / "index", tmp_path / "root.pem"
    (index / "simple").mkdir(parents=True)
    certificate.write_text("-----BEGIN CERTIFICATE-----")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    settings = {
        "index-url": "https://user:secret@mirror.example/simple",
        "extra-index-url": f"file://{index}/simple",
        "find-links": f"{wheels} https://wheels.example/links",
        "cert": str(certificate),
    }
    work = tmp_path / "work"
    work.mkdir()
    binds = [word for word in image_build.bind_arguments(settings, work) if word != "--bind"]
    assert binds == [
        f"{work}/mnt:/mnt:ro",
        f"{work}/tmp:/mnt/tmp",
        f"{index}:/mnt/0:ro",
        f"{wheels}:/mnt/1:ro",
    ]
    shown = subprocess.run(
        [
            "sh",
            "-c",
            f'. {work}/mnt/build.env; printf "%s|%s|%s|%s" "$PIP_INDEX_URL" "$PIP_EXTRA_INDEX_URL" '
            '"$PIP_FIND_LINKS" "$PIP_CERT"',
        ],
        capture_output=True,
        text=True,
    ).stdout
    assert shown.split("|") == [
        "https://user:secret@mirror.example/simple",
        "file:///mnt/0/simple",
        "/mnt/1 https://wheels.example/links",
        "/mnt/cert.pem",
    ]
    assert (work / "mnt/cert.pem").read_text() == certificate.read_text()
    assert (work / "mnt/1").is_dir()  # the target of a bind must exist


def test_what_jobs_see_of_the_host_does_not_reach_the_build(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("APPTAINERENV_REQUESTS_CA_BUNDLE", "/of/the/host.pem")  # would override pip's certificate
    stand_in(build='echo "${APPTAINERENV_REQUESTS_CA_BUNDLE-unset} $APPTAINER_TMPDIR"; ' + WRITES)
    build(tmp_path)
    assert re.search(rf"^unset {tmp_path}/nli-build-\w+$", (tmp_path / "build.log").read_text(), re.MULTILINE)


def test_what_a_killed_build_left_is_deleted_and_what_a_running_one_uses_stays(stand_in, tmp_path):
    left, used = tmp_path / "nli-build-left", tmp_path / "nli-build-used"
    for folder in (left, used):
        (folder / "rootfs").mkdir(parents=True)
    stand_in(build=WRITES)
    with image_build.locked(used):
        build(tmp_path)
    assert not left.exists()
    assert (used / "rootfs").is_dir()
    build(tmp_path)
    assert not list(tmp_path.glob("nli-build-*"))


def test_pip_settings_come_from_files_and_variables_and_hold_only_where_packages_come_from(tmp_path, monkeypatch):
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://file.example/simple\nfind-links = /from/file\nrequire-virtualenv = true\n"
        "[install]\nno-index = true\nuser = true\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_FIND_LINKS", "/from/variable")
    settings = image_build.pip_settings()
    assert settings["index-url"] == "https://file.example/simple"
    assert settings["find-links"] == "/from/variable"
    assert settings["no-index"] == "true"
    assert not {"require-virtualenv", "user"} & settings.keys()


# ------------------------------------------------------------------------------------------------ what a container sees


@pytest.fixture
def study(tmp_path):
    """A function that resolves the demo with some values changed."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return lambda **changes: load_study(config, changes)


def test_folders_outside_the_repository_are_bound(study, tmp_path):
    repository, data, model = tmp_path / "repository", tmp_path / "data", tmp_path / "model"
    for folder in (repository, data, model):
        folder.mkdir()
    resolved = study(
        results=str(tmp_path / "far/results"),
        cache="cache",
        data={"source": "files", "path": str(data)},
        models={"encoder": {"source": "path", "name": str(model)}},
    )
    assert containers.outside_folders(resolved, repository) == [tmp_path / "far/results", data, model]
    assert (tmp_path / "far/results").is_dir()
    assert not (repository / "cache").exists()


def test_target_of_a_link_in_the_repository_is_bound(study, tmp_path):
    repository, scratch = tmp_path / "repository", tmp_path / "scratch"
    repository.mkdir()
    scratch.mkdir()
    (repository / "results").symlink_to(scratch)
    assert containers.outside_folders(study(results="results"), repository) == [scratch]


def test_files_that_a_model_folder_links_to_are_bound(study, tmp_path):
    snapshot, blobs = tmp_path / "hub/snapshots/abc", tmp_path / "hub/blobs"
    for folder in (snapshot, blobs):
        folder.mkdir(parents=True)
    (blobs / "1f").touch()
    (snapshot / "model.safetensors").symlink_to("../../blobs/1f")
    resolved = study(models={"encoder": {"source": "path", "name": str(snapshot)}})
    assert containers.outside_folders(resolved, ROOT) == [snapshot, blobs]


def test_secrets_go_through_the_environment_and_nothing_else_of_it_does(study, tmp_path):
    environ = {"HF_TOKEN": "secret", "PYTHONPATH": "/host/lib", "LD_LIBRARY_PATH": "/host/lib", "HF_HOME": "/home/x"}
    given = containers.container_environment(study(cache=str(tmp_path)), ROOT, environ)
    assert given["HF_TOKEN"] == "secret"
    assert not {"PYTHONPATH", "LD_LIBRARY_PATH", "HF_HOME"} & given.keys()
    assert given["XDG_CACHE_HOME"] == f"{tmp_path}/home"
    arguments = containers.container_arguments("", [], environ)
    assert "secret" not in arguments
    assert "--cleanenv" in arguments


def test_instructions_chosen_on_the_machine_hold_inside_too(study, tmp_path):
    chosen = {"OPENBLAS_CORETYPE": "Haswell", "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}
    given = containers.container_environment(study(cache=str(tmp_path)), ROOT, chosen)
    assert chosen.items() <= given.items()


def test_token_of_hf_auth_login_reaches_the_container_that_fetches(config, tmp_path):
    (tmp_path / "token").write_text("hf_secret\n")
    environ = {"HF_HOME": str(tmp_path)}
    paper = load_study(config, {"scale": "paper", "cache": str(tmp_path)})
    assert containers.container_environment(paper, ROOT, environ)["HF_TOKEN"] == "hf_secret"
    assert "hf_secret" not in containers.container_arguments("", [tmp_path], environ)
    own = {**environ, "HF_TOKEN": "hf_own"}
    assert containers.container_environment(paper, ROOT, own)["HF_TOKEN"] == "hf_own"


def test_token_stays_where_it_is_if_nothing_comes_from_the_hub(config, tmp_path):
    (tmp_path / "token").write_text("hf_secret\n")
    demo = load_study(config, {"scale": "demo", "cache": str(tmp_path)})
    given = containers.container_environment(demo, ROOT, {"HF_HOME": str(tmp_path)})
    assert "hf_secret" not in given.values()


@pytest.mark.parametrize(("commit", "given"), [("1f2e+", {"NLI_GIT_COMMIT": "1f2e+"}), (None, {})])
def test_commit_is_told_only_where_it_is_known(study, monkeypatch, commit, given):
    """If git is missing, an empty value would replace the one from the main process."""
    monkeypatch.setattr(containers, "git_commit", lambda: commit)
    environment = containers.container_environment(study(), ROOT, {})
    assert {name: value for name, value in environment.items() if name == "NLI_GIT_COMMIT"} == given


def test_arguments_of_the_user_come_first_and_ours_once():
    once = containers.container_arguments('--env "A=$A"', [Path("/far away")], {})
    assert once.startswith('--env "A=$A" --cleanenv')
    assert once.endswith("--bind '/far away'")
    # A job's own Snakemake gets the arguments of the Snakemake that started it.
    assert containers.container_arguments(once, [Path("/far away")], {}) == once


def test_profile_passes_the_gpu_where_there_is_one(tmp_path):
    arguments = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())["apptainer-args"]
    device = tmp_path / "nvidiactl"
    words = arguments.replace("/dev/nvidiactl", str(device)).replace("/dev/dxg", str(tmp_path / "dxg"))

    def passed() -> str:
        return subprocess.run(["bash", "-c", f"echo {words}"], capture_output=True, text=True).stdout.strip()

    assert passed() == ""
    device.touch()
    assert passed() == "--nv"


def test_choice_of_images_changes_no_spec(study):
    from nli.study.specs import prediction_spec, training_spec

    one, other = study(), study(containers={"study": "docker://example/study", "torch": "cpu"})
    assert one.model_dump() == other.model_dump()
    for key in one.experiments:
        assert prediction_spec(one, key) == prediction_spec(other, key)
        assert training_spec(one, key) == training_spec(other, key)


# ---------------------------------------------------------------------------------------------- Quarto


@pytest.fixture
def quarto():
    """containers/install_quarto.py as a module."""
    location = importlib.util.spec_from_file_location("install_quarto", ROOT / "containers/install_quarto.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.mark.parametrize("filters", [True, False])  # Debian bookworm's Python has none
def test_quarto_is_unpacked_without_its_top_folder(quarto, tmp_path, monkeypatch, filters):
    if not filters:
        monkeypatch.delattr(tarfile, "tar_filter", raising=False)
        extractall = tarfile.TarFile.extractall
        monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path, members: extractall(self, path, members))
    program = tmp_path / "quarto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with tarfile.open(tmp_path / "quarto.tar.gz", "w:gz") as archive:
        archive.add(program, f"quarto-{quarto.VERSION}/bin/quarto")
        archive.add(program, "elsewhere/quarto")
    address = (tmp_path / "quarto.tar.gz").as_uri()
    digest = hashlib.sha256((tmp_path / "quarto.tar.gz").read_bytes()).hexdigest()
    assert quarto.install(str(tmp_path / "into"), address, digest)
    assert [path.relative_to(tmp_path / "into") for path in (tmp_path / "into").rglob("*") if path.is_file()] == [
        Path("bin/quarto")
    ]
    assert os.access(tmp_path / "into/bin/quarto", os.X_OK)


def test_quarto_with_another_checksum_is_refused(quarto, tmp_path):
    (tmp_path / "quarto.tar.gz").write_bytes(b"changed")
    with pytest.raises(SystemExit, match="nothing was installed"):
        quarto.install(str(tmp_path / "into"), (tmp_path / "quarto.tar.gz").as_uri(), "0" * 64)


def test_connection_cut_in_the_middle_leaves_the_report_without_quarto(quarto, tmp_path, monkeypatch, capsys):
    class Cut(io.BytesIO):
        def read(self):
            raise http.client.IncompleteRead(b"half", 4)

    monkeypatch.setattr(quarto.urllib.request, "urlopen", lambda *arguments, **options: Cut())
    assert not quarto.install(str(tmp_path), "https://example.org", "")
    said = capsys.readouterr().out
    assert "is not available here (IncompleteRead(4 bytes read, 4 more expected))" in said
    assert said.count("\n") == 1


def test_machine_without_a_release_leaves_the_report_without_quarto(quarto, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quarto.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(sys, "argv", ["install_quarto.py", str(tmp_path)])
    quarto.main()
    assert "is not available here (no release for Linux on riscv64)" in capsys.readouterr().out

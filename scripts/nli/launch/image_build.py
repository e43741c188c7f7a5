"""Builds a container image from its definition and lock: checks first, then writes the whole image or nothing.

The build gets the site's pip settings as a file of exports, /mnt/build.env. Folders in these settings (an index or
wheels on disk) are also bound below /mnt. None of this stays in the image.
"""

import ast
import ctypes
import fcntl
import getpass
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from nli.base.errors import StudyError
from nli.base.files import sha256
from nli.launch.containers import CERTIFICATES, PROXIES, check_builder, find_program
from nli.provenance import git_commit

# GB of the build's temporary folder and of the finished image; torch's CUDA libraries make the difference.
SPACE = {"study": {"cpu": (4.0, 1.0), "cuda": (14.0, 4.0)}, "report": {"cpu": (3.0, 1.0), "cuda": (3.0, 1.0)}}
PREFIX = "nli-build-"
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
MOUNT = "/mnt"  # empty in every base image
PIP_OPTIONS = (  # only those that decide where packages come from
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
INDEXES = ("index-url", "extra-index-url")
UNVERIFIED = "NLI_UNVERIFIED"  # packages whose hashes are not checked: containers/install_locked.py
ID_RANGES = (Path("/etc/subuid"), Path("/etc/subgid"))


def build_image(name: str, output: Path, base: str | None, torch: str, log: Path) -> None:
    """Build the image `name` to `output`, which appears whole or not at all; the build's output goes to `log`.

    Args:
        base: `containers.base`: a registry address, a directory or a SIF file; None: the definition's base.
        torch: `containers.torch`: auto, cpu or cuda.

    Raises:
        StudyError: no program, an old version, no id ranges, no space, or a failed build.
    """
    definition, lock = Path(f"containers/{name}.def"), Path(f"containers/{name}.lock")
    started = time.monotonic()
    program = find_program()
    check_builder(program)
    temporary = temporary_folder()
    say(log, check_space(name, torch, temporary, output.parent))
    arguments = fakeroot_option() + base_arguments(base) + label_arguments(lock)
    if name == "study":
        arguments += ["--build-arg", f"torch={torch}"]
    partial = output.with_name(f".partial-{output.name}")
    partial.unlink(missing_ok=True)  # left by a killed build
    with build_folder(temporary) as work:
        arguments += bind_arguments(pip_settings(), work)
        command = [program, "build", "--force", *arguments, str(partial), str(definition)]
        try:
            run_build(command, build_environment(work), log, output)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    say(log, f"{output}: {output.stat().st_size / 1e9:.2f} GB in {time.monotonic() - started:.0f} seconds")


def say(log: Path, text: str) -> None:
    """Print a line to the terminal and to the log."""
    print(text, flush=True)
    append(log, text)


def append(log: Path, text: str) -> None:
    """Append a line to the log."""
    with log.open("a", encoding="utf-8") as file:
        print(text, file=file)


def temporary_folder() -> Path:
    """The folder in which Apptainer unpacks and assembles, by its own rule."""
    named = os.environ.get("APPTAINER_TMPDIR") or os.environ.get("SINGULARITY_TMPDIR")
    return Path(named or tempfile.gettempdir())


@contextmanager
def build_folder(parent: Path) -> Iterator[Path]:
    """Yield a folder for everything the build writes; delete it afterwards, even if the job is told to stop.

    What a killed build has left there is deleted first. The folder of a build that runs is locked.
    """

    def stop(number: int, frame: object) -> None:
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        with ExitStack() as stack:
            with locked(parent):  # so that no other build meets a folder before its lock
                delete_left_folders(parent)
                name = tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True)
                folder = Path(stack.enter_context(name))
                stack.enter_context(locked(folder))
            yield folder
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Lock a folder; yield whether that was possible. The lock ends with this process, whatever ends that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # another has it, or the file system has no locks
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def delete_left_folders(parent: Path) -> None:
    """Delete the folders of this user's builds that were killed; what cannot be deleted stays."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it has just gone
            if folder.lstat().st_uid == os.getuid():
                with locked(folder, wait=False) as left:
                    if left:
                        shutil.rmtree(folder, ignore_errors=True)


def build_environment(work: Path) -> dict[str, str]:
    """The environment of the build, without the variables that the workflow sets for the containers of jobs."""
    jobs = ("APPTAINERENV_", "SINGULARITYENV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(jobs)}
    return {**kept, "APPTAINER_TMPDIR": str(work), "SINGULARITY_TMPDIR": str(work)}


def run_build(command: list[str], environment: dict[str, str], log: Path, output: Path) -> None:
    """Run the build, which ends with this process; raise StudyError with its last error line if it fails."""
    append(log, shlex.join(command))
    with log.open("a", encoding="utf-8") as file:
        build = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=end_with_parent
        )
        try:
            status = build.wait()
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()
    if status != 0:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("fatal", "error"))]
        raise StudyError(f"{output}: the build failed ({(errors or lines)[-1]}); see {log}")


def end_with_parent() -> None:
    """In a child that will become the build: get SIGTERM when the parent ends, whatever ends it (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# ------------------------------------------------------------------------------------------------ checks


def check_space(name: str, torch: str, temporary: Path, folder: Path) -> str:
    """The space that the build needs, in words; StudyError if there is less."""
    work, image = SPACE[name]["cpu" if torch == "cpu" else "cuda"]
    if not temporary.is_dir():
        raise StudyError(f"APPTAINER_TMPDIR: no folder {temporary}; create it, or set another")
    needs = f"building {name}.sif needs up to {work:g} GB in {temporary} and {image:g} GB in {folder}"
    folder.mkdir(parents=True, exist_ok=True)
    same = os.stat(temporary).st_dev == os.stat(folder).st_dev
    for place, gigabytes in ((temporary, work + image if same else work), (folder, image)):
        free = shutil.disk_usage(place).free / 1e9
        if free < gigabytes:
            raise StudyError(
                f"{needs}, but {place} has {free:.1f} GB free; free some, or set APPTAINER_TMPDIR to a folder with more"
                + (", or use the CPU build of torch (containers: {torch: cpu})" if torch == "auto" else "")
            )
    return needs


def has_id_ranges() -> bool:
    """Whether this user may map further user and group ids, as a rootless build must."""
    names = (f"{getpass.getuser()}:", f"{os.getuid()}:")
    return all(
        path.is_file() and any(line.startswith(names) for line in path.read_text().splitlines()) for path in ID_RANGES
    )


def fakeroot_option() -> list[str]:
    """`--fakeroot`, except for a root without id ranges; StudyError for a user who cannot use it."""
    if has_id_ranges() or (os.getuid() != 0 and shutil.which("fakeroot")):
        return ["--fakeroot"]
    if os.getuid() == 0:
        return []
    user = getpass.getuser()
    raise StudyError(
        f"building an image without root needs id ranges for {user} in {' and '.join(map(str, ID_RANGES))}; ask an "
        f"administrator for 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}', install the "
        "command fakeroot, or give ready images (containers: {study: PATH.sif, report: PATH.sif})"
    )


# ------------------------------------------------------------------------------------------------ arguments


def base_arguments(base: str | None) -> list[str]:
    """`--build-arg` for the base image; empty if the definition's base is used."""
    if base is None:
        return []
    scheme, separator, address = base.partition("://")
    if not separator:
        if not Path(base).exists():
            raise StudyError(f"containers.base: no directory or image at {base}; give one, or docker://...")
        scheme, address = "localimage", str(Path(base).resolve())
    return ["--build-arg", f"bootstrap={scheme}", "--build-arg", f"base={address}"]


def label_arguments(lock: Path) -> list[str]:
    """`--build-arg` for the labels: version, commit and the lock's SHA-256."""
    version = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    labels = {"version": version, "commit": git_commit() or "unknown", "lock": sha256(lock)}
    return [part for key, value in labels.items() for part in ("--build-arg", f"{key}={value}")]


def pip_settings() -> dict[str, str]:
    """This environment's pip options that decide where packages come from: files, then environment variables."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    if done.returncode != 0:
        raise StudyError(f"'{sys.executable} -m pip config list' failed: {done.stderr.strip()}")
    ranked: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in ranked and option in (*PIP_OPTIONS, "cert", "client-cert"):
            ranked[section][option] = str(ast.literal_eval(value))
    return {**ranked["global"], **ranked["install"], **ranked[":env:"]}


def bind_arguments(settings: dict[str, str], work: Path) -> list[str]:
    """Write /mnt/build.env into a folder of `work` and return the `--bind` options that the build needs.

    Folders on disk in the settings appear as /mnt/0, /mnt/1, ..., and the settings are changed to match. /mnt/tmp is
    also a folder of `work`, so that pip downloads and unpacks where the free space was checked.
    """
    mount = work / "mnt"
    mount.mkdir()
    folders: list[Path] = []
    exports = {"PIP_CONFIG_FILE": "/dev/null", "TMPDIR": f"{MOUNT}/tmp"}
    for option in PIP_OPTIONS:
        if option in settings:
            words = [inside(word, option, folders) for word in settings[option].split()]
            exports[f"PIP_{option.upper().replace('-', '_')}"] = " ".join(words)
    trusted = next((os.environ[name] for name in CERTIFICATES if os.environ.get(name)), None)
    for option, source in (("cert", settings.get("cert", trusted)), ("client-cert", settings.get("client-cert"))):
        if source:
            shutil.copyfile(source, mount / f"{option}.pem")
            exports[f"PIP_{option.upper().replace('-', '_')}"] = f"{MOUNT}/{option}.pem"
    if "PIP_CERT" in exports:
        exports["SSL_CERT_FILE"] = exports["PIP_CERT"]
    exports |= {name: os.environ[name] for name in (*PROXIES, UNVERIFIED) if name in os.environ}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
    (mount / "build.env").write_text("".join(lines), encoding="utf-8")
    for folder in (work / "tmp", mount / "tmp", *(mount / str(number) for number in range(len(folders)))):
        folder.mkdir()
    binds = [f"{mount}:{MOUNT}:ro", f"{work / 'tmp'}:{MOUNT}/tmp"]
    binds += [f"{folder}:{MOUNT}/{number}:ro" for number, folder in enumerate(folders)]
    return [part for bind in binds for part in ("--bind", bind)]


def inside(word: str, option: str, folders: list[Path]) -> str:
    """One word of an option as the build sees it: a path on disk becomes one below /mnt, and `folders` gets its folder.

    An index on disk refers to files next to it, so its parent is bound.
    """
    url = word.startswith("file:")
    path = Path(url2pathname(urlparse(word).path)) if url else Path(word)
    if option not in (*INDEXES, "find-links") or "://" in word.removeprefix("file:") or not path.exists():
        return word
    folder = path.parent if option in INDEXES or path.is_file() else path
    folder = folder.resolve()
    if folder not in folders:
        folders.append(folder)
    place = f"{MOUNT}/{folders.index(folder)}"
    place += "" if folder == path.resolve() else f"/{path.name}"
    return f"file://{place}" if url else place

"""Which image a job runs in, and what a container sees of the machine. `image_build` builds the images."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nli.base.errors import StudyError
from nli.provenance import COMMIT_VARIABLE, git_commit
from nli.study.schema import Containers, Study

IMAGES = ("study", "report")
BUILD = "build"  # the value of `containers: <image>:` that lets the workflow build it
# The oldest versions, by program, that can run an image, and that can build the definition files, which contain
# {{ arguments }}.
RUNS = {"apptainer": (1, 2), "singularity-ce": (3, 11), "singularity": (3, 8)}
BUILDS = {"apptainer": (1, 2), "singularity-ce": (4, 0)}

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # files that are bound
# A machine may choose the instructions that its libraries use. Inside, other ones would give other last digits.
ARITHMETIC = (
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
)
HUB = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE")
FORWARDED = (*HUB, *PROXIES, *ARITHMETIC, "CUDA_VISIBLE_DEVICES", "NLI_TRACEBACK")
CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR", "TRITON_HOME")


def find_program() -> str:
    """`apptainer` or `singularity`, the first on PATH in Snakemake's order; StudyError if there is neither."""
    for name in ("apptainer", "singularity"):
        if shutil.which(name):
            return name
    raise StudyError(
        "--use-singularity: neither apptainer nor singularity is on PATH; install it or load its module "
        "(README, 'In containers'), or run without --use-singularity"
    )


def program_version(program: str) -> tuple[str, tuple[int, ...]]:
    """The program's kind (apptainer, singularity-ce, singularity) and version, by its own output."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    said = done.stdout.strip()
    match = re.search(r"\d+(\.\d+)+", said)
    if done.returncode != 0 or match is None:
        reason = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise StudyError(f"--use-singularity: '{program} --version' failed: {reason}")
    return said.split(" ")[0], tuple(int(part) for part in match.group().split("."))


def check_builder(program: str) -> None:
    """Raise StudyError if `program` is too old to build the definition files."""
    kind, version = program_version(program)
    needed = BUILDS.get(kind)
    if needed is None or version < needed:
        known = " or ".join(f"{name} {'.'.join(map(str, least))}" for name, least in BUILDS.items())
        raise StudyError(
            f"--use-singularity: {kind} {'.'.join(map(str, version))} cannot build the images, which needs {known} "
            "or newer; update it, or give ready images (containers: {study: PATH.sif, report: PATH.sif})"
        )


def image_of(containers: Containers, name: str) -> str:
    """The value for Snakemake's `container:`: the file that the workflow builds, a ready file, or an address."""
    choice = getattr(containers, name)
    if choice == BUILD:
        return f"containers/{name}.sif"
    if found := re.search(r"^-|[^\w./:@+%~-]", choice):  # Snakemake writes it into a shell command as it is
        raise StudyError(f"containers.{name}: takes an image without spaces or shell characters, got {found[0]!r}")
    if "://" not in choice and not Path(choice).is_file():
        raise StudyError(
            f"containers.{name}: no image at {choice}; give a .sif file, docker://..., oras://... or '{BUILD}'"
        )
    return choice


def images_to_build(containers: Containers) -> list[str]:
    """The image files that the workflow builds."""
    return [image_of(containers, name) for name in IMAGES if getattr(containers, name) == BUILD]


def outside_folders(study: Study, repository: Path) -> list[Path]:
    """Every folder outside the repository that a job reads or writes, as given and with links resolved.

    Missing folders that jobs write to are created. Snakemake makes the repository itself visible, but the target of a
    link out of it must be bound too.
    """
    written = [study.results, study.cache]
    read = [study.data.path] if study.data.source == "files" else []
    read += [str(Path(rows.path).parent) for rows in study.answered_sets().values() if rows.path]
    read += [model.name for model in (study.models.encoder, study.models.decoder) if model.source == "path"]
    folders: dict[Path, None] = {}
    for name in [*written, *read]:
        path = repository / name
        for folder in (path.absolute(), path.resolve()):
            if any(folder.is_relative_to(inside) for inside in (repository, repository.resolve())):
                continue
            if name in written:
                folder.mkdir(parents=True, exist_ok=True)  # a missing folder cannot be bound
            if folder.exists():
                folders[folder] = None
        if name in read and path.is_dir():  # a folder of the hub's cache has links to files next to it
            targets = sorted({entry.resolve().parent for entry in path.iterdir() if entry.is_symlink()})
            folders |= dict.fromkeys(target for target in targets if target.is_dir())
    return list(folders)


def container_environment(study: Study, repository: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a container gets: credentials, proxies, the choice of instructions, caches in the study's own
    folder, the commit.

    They are passed in the environment, not on the command line, which every user of the machine can read. The hub's
    token is looked up here, because a container does not see the home folder, where `hf auth login` saves it.

    Raises:
        StudyError: something comes from the hub, and the token found cannot be one.
    """
    from nli.hub import cache, needs  # a network library that a run without containers need not load

    variables = {name: environ[name] for name in (*FORWARDED, *CERTIFICATES) if name in environ}
    token = cache.find_token(environ) if needs.hub_items(study) else None
    if token:
        variables["HF_TOKEN"] = token[1]
    home = (repository / study.cache).absolute() / "home"
    variables |= {name: str(home) for name in CACHES}
    return variables | ({COMMIT_VARIABLE: commit} if (commit := git_commit()) else {})  # a node may have no git


def container_arguments(given: str, folders: list[Path], environ: Mapping[str, str]) -> str:
    """The arguments of `apptainer exec`: the user's or the profile's own, then isolation, threads and binds.

    `--cleanenv` keeps out the host's Python, libraries and caches. Snakemake sets the threads per job, so the shell
    that starts the container fills them in.
    """
    certificates = [Path(environ[name]) for name in CERTIFICATES if Path(environ.get(name, "")).is_file()]
    threads = ",".join(f"{name}=${name}" for name in THREADS)
    binds = [f"--bind {shlex.quote(str(path))}" for path in dict.fromkeys([*folders, *certificates])]
    own = " ".join(["--cleanenv", f'--env "{threads}"', *binds])
    return given if own in given else f"{given} {own}".strip()

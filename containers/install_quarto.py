"""Install Quarto at a pinned version into a folder, if its release can be reached: install_quarto.py FOLDER.

An unreachable release is not an error, because the report is then rendered with Pandoc and Typst. A checksum that
differs from the published one is.
"""

import hashlib
import http.client
import io
import platform
import sys
import tarfile
import urllib.request

VERSION = "1.9.38"
SHA256 = {  # from quarto-{VERSION}-checksums.txt next to the release
    "amd64": "ea8c897368791ad9f200010c087ea3111b2e556b12a960487dd4e216902aa102",
    "arm64": "75fbc5c1121ffe65e564e9d24711db2ad8f617f9552f5dc7d8a06307d72dde38",
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's names, and the releases'
URL = "https://github.com/quarto-dev/quarto-cli/releases/download/v{version}/quarto-{version}-linux-{machine}.tar.gz"
SECONDS = 30  # without an answer


def install(folder: str, url: str, expected: str) -> bool:
    """Unpack the archive at `url` into `folder`; False if it cannot be fetched.

    Raises SystemExit if the checksum is not the `expected` SHA-256.
    """
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            archive = response.read()
    except (OSError, http.client.HTTPException) as error:  # a broken connection is not an OSError
        return without_quarto(str(error))
    found = hashlib.sha256(archive).hexdigest()
    if found != expected:
        sys.exit(f"error: {url}: SHA-256 is {found}, not the published {expected}; nothing was installed")
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        top = f"quarto-{VERSION}/"
        members = [m for m in content.getmembers() if m.name.startswith(top)]
        for member in members:
            member.name = member.name.removeprefix(top)
        # Debian bookworm's Python 3.11.2 has no filters; the checksum above makes the archive safe.
        options = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        content.extractall(folder, members=members, **options)
    return True


def without_quarto(reason: str) -> bool:
    """Print why there is no Quarto and what happens instead; returns False for `install`."""
    print(f"Quarto {VERSION} is not available here ({reason}); the report is rendered with Pandoc and Typst instead")
    return False


def main() -> None:
    machine = MACHINES.get(platform.machine()) if platform.system() == "Linux" else None
    if machine is None:
        without_quarto(f"no release for {platform.system()} on {platform.machine()}")
    elif install(sys.argv[1], URL.format(version=VERSION, machine=machine), SHA256[machine]):
        print(f"Quarto {VERSION} is installed")


if __name__ == "__main__":
    main()

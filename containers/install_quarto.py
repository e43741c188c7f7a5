"""Install Quarto at a pinned version into a folder, if its release can be reached: install_quarto.py FOLDER.

A release that cannot be reached is no error: the report is then rendered with Pandoc and Typst. One whose checksum
differs from the published one is.
"""

import hashlib
import io
import platform
import sys
import tarfile
import urllib.request

VERSION = "1.9.38"
SHA256 = {  # of quarto-{VERSION}-checksums.txt beside the release
    "amd64": "ea8c897368791ad9f200010c087ea3111b2e556b12a960487dd4e216902aa102",
    "arm64": "75fbc5c1121ffe65e564e9d24711db2ad8f617f9552f5dc7d8a06307d72dde38",
}
URL = "https://github.com/quarto-dev/quarto-cli/releases/download/v{version}/quarto-{version}-linux-{machine}.tar.gz"
SECONDS = 30  # without an answer


def install(folder: str, url: str, expected: str) -> bool:
    """Unpack the archive at `url` into `folder`; False if it cannot be fetched.

    Raises SystemExit if the checksum is not the `expected` SHA-256.
    """
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            archive = response.read()
    except OSError as error:
        print(f"Quarto {VERSION} cannot be had here ({error}): the report is rendered with Pandoc and Typst instead")
        return False
    found = hashlib.sha256(archive).hexdigest()
    if found != expected:
        sys.exit(f"error: {url}: SHA-256 is {found}, not the published {expected}; nothing was installed")
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        top = f"quarto-{VERSION}/"
        members = [m for m in content.getmembers() if m.name.startswith(top)]
        for member in members:
            member.name = member.name.removeprefix(top)
        content.extractall(folder, members=members, filter="tar")
    return True


if __name__ == "__main__":
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    if install(sys.argv[1], URL.format(version=VERSION, machine=machine), SHA256[machine]):
        print(f"Quarto {VERSION} is installed")

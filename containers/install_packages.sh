#!/bin/sh
# While an image is built: install_packages.sh LOCK [cpu|cuda] makes /opt/venv from a lock file, with that build of torch
# and without pip, headers and the packages' own tests, which no job needs.
set -eu

lock=$1
torch=${2:-auto}
# The site's pip settings (index, find-links, certificate), written and bound by scripts/nli/launch/image_build.py.
if [ -f /mnt/build.env ]; then . /mnt/build.env; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: the base image has no Python 3.11 or newer: give containers.base another one" >&2
    exit 1
}
python3 -c 'import venv, ensurepip' 2>/dev/null || {
    apt-get update
    apt-get install --yes --no-install-recommends python3-venv
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
}

python3 -m venv "$work/tools"
python3 -m venv --without-pip /opt/venv
export PIP_NO_CACHE_DIR=1
"$work/tools/bin/python" /opt/nli/install_locked.py --python /opt/venv/bin/python --torch "$torch" "$lock"

packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$packages" -depth -type d -name tests -exec rm -rf {} +
find "$packages" -type f \( -name '*.a' -o -name '*.lib' \) -delete
[ ! -d "$packages/torch/bin" ] || find "$packages/torch/bin" -type f ! -name torch_shm_manager -delete
rm -rf "$packages"/torch/include "$packages"/torch/test "$packages"/pyarrow/include "$packages"/pyarrow/src

#!/usr/bin/env bash
# Make .venv and install the given lock files into it by their hashes, then the real Quarto if it can be downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: $python is not Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python3.12 $*" >&2
    exit 1
fi
if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv || {
        echo "error: $python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    }
fi

echo "installing the locked packages into .venv (a few minutes the first time)"
.venv/bin/python containers/install_locked.py "$@"

if ! command -v quarto >/dev/null && [ ! -x .venv/bin/quarto ]; then
    .venv/bin/python containers/install_quarto.py .venv/quarto
    if [ -x .venv/quarto/bin/quarto ]; then ln -sf ../quarto/bin/quarto .venv/bin/quarto; fi
fi

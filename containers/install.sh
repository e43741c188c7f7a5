#!/usr/bin/env bash
# Make .venv and install the given lock files into it, then the real Quarto if it can be downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
quarto_limit=${QUARTO_LIMIT:-240} # seconds: its package downloads 100 MB while it installs

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
requirements=()
for lock in "$@"; do
    requirements+=(--requirement "$lock")
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${requirements[@]}"

if command -v quarto >/dev/null || [ -x .venv/bin/quarto ]; then
    echo "Quarto: $(PATH=$PWD/.venv/bin:$PATH quarto --version 2>/dev/null || echo installed)"
elif timeout "$quarto_limit" .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    'quarto-cli>=1.9,<1.11' >.venv/quarto.log 2>&1; then
    echo "Quarto: installed"
else
    echo "Quarto cannot be had here (.venv/quarto.log): the report is rendered with Pandoc and Typst instead"
fi

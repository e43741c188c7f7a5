#!/usr/bin/env bash
# Resolve the dependency groups of pyproject.toml together and write one lock per group.
#
# torch pins its own CUDA libraries, and its CPU build has none, so those are left to torch: the same lock then serves
# a machine with a GPU and one without. For the same reason there are no hashes.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
        "${cuda[@]}" "$@"
}

cuda=()
for name in $(uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --group study \
    pyproject.toml | grep -oE '^(nvidia|cuda|triton)[a-z0-9-]*' | sort -u); do
    cuda+=(--no-emit-package "$name")
done

all=$(mktemp)
trap 'rm -f "$all"' EXIT
compile --group study --group report --group workflow --group dev pyproject.toml -o "$all"
for group in study report workflow dev; do
    {
        echo "# Made by 'make lock' from the group '$group' in pyproject.toml. torch brings its own CUDA libraries."
        compile --group "$group" --constraint "$all" pyproject.toml
    } > "containers/$group.lock"
    echo "containers/$group.lock: $(grep -c == "containers/$group.lock") packages"
done

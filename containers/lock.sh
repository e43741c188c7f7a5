#!/usr/bin/env bash
# Resolve the dependency groups of pyproject.toml together and write one lock per group, with the hashes of all files
# of each version. Locked versions stay; --upgrade takes new ones.
#
# torch's CUDA build needs NVIDIA's libraries and its CPU build none, so those have a lock of their own, cuda.lock. The
# CPU build's wheels are another version for the resolver; their hashes come from torch_cpu.sha256.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
        --only-binary :all: --no-binary connection-pool --generate-hashes "$@" pyproject.toml
}
names() { grep -oE '^[a-z0-9][a-z0-9._-]*==' "$1" | tr -d = | sort -u; }
left_out() { sed 's/^/--no-emit-package=/'; }
write() { # LOCK COMMENT, with the entries on standard input
    { echo "# Made by 'make lock': $2."; cat; } >"$work/lock"
    mv "$work/lock" "containers/$1.lock"
    echo "containers/$1.lock: $(grep -c '^[a-z0-9].*==' "containers/$1.lock") packages"
}

groups=(study report workflow dev maintain)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat containers/*.lock | grep -oE '^[a-z0-9].*==[^\\]*' | sort -u >"$work/all" || true # what to keep
compile --output-file "$work/all" "${groups[@]/#/--group=}" "$@" >/dev/null
names "$work/all" | grep -E '^(nvidia|cuda|triton)' | left_out >"$work/cuda"
names "$work/all" | grep -vE '^(nvidia|cuda|triton)' | left_out >"$work/others"

torch=$(sed -nE 's/^torch==([^ ]+).*/\1/p' "$work/all")
cpu=$(sed -nE "s/^([0-9a-f]{64})  torch-$torch\+cpu-.*/    --hash=sha256:\1 \\\\/p" containers/torch_cpu.sha256)
[ -n "$cpu" ] || { echo "error: no wheel of torch $torch in containers/torch_cpu.sha256; add the CPU build's" >&2; exit 1; }

for group in "${groups[@]}"; do
    compile --group "$group" --constraint "$work/all" $(cat "$work/cuda") |
        awk -v cpu="$cpu" '{ print } /^torch==/ { print cpu }' | write "$group" "the group '$group' of pyproject.toml"
done
compile --group study --constraint "$work/all" $(cat "$work/others") | write cuda "what torch's CUDA build requires"

#!/usr/bin/env bash
# Install Chromium with its driver from Debian, as root, and Selenium with axe-core into .cache/browser, for the test of
# the HTML report. A second call finds them and stops.
set -euo pipefail
cd "$(dirname "$0")/../.."

site=.cache/browser
requirements=tests/system/requirements.txt

if ! { command -v chromium && command -v chromedriver; } >/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "error: run this as root; it installs Debian packages" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --yes --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null
fi
if ! cmp --quiet "$requirements" "$site/requirements.txt"; then
    rm -rf "$site"
    "${PYTHON:-python3}" -m pip install --quiet --require-hashes --no-deps --target "$site" --requirement "$requirements"
    cp "$requirements" "$site/"
fi
chromium --version

#!/usr/bin/env bash
# Install Apptainer on Debian or a derivative, as root, for the system tests. A second call finds it and stops.
#
# Debian packages Apptainer only in sid, built against a newer glibc than that of a stable release. If the package
# cannot run, its two programs get sid's loader and libraries in a separate folder; nothing else on the machine
# changes, and no package source is added.
set -euo pipefail

minimum=1.2.0 # required by `{{ arguments }}` in a definition file
libraries=/usr/lib/apptainer-glibc
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

works() {
    local version
    version=$(apptainer --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -1) &&
        dpkg --compare-versions "$version" ge "$minimum"
}

# Rootless builds need ranges of user and group ids that root may map.
add_id_ranges() {
    for file in /etc/subuid /etc/subgid; do
        grep -q '^root:' "$file" 2>/dev/null || echo 'root:1000000:65536' >>"$file"
    done
}

install_prerequisites() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --yes --no-install-recommends ca-certificates debian-archive-keyring fuse-overlayfs \
        iproute2 libseccomp2 libsqlite3-0 mmdebstrap patchelf squashfs-tools squashfuse uidmap util-linux >/dev/null
}

# Download packages of sid from this machine's own mirror, with lists separate from the system's.
download() {
    local mirror options
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -1)
    [ -n "$mirror" ] || { echo "error: apt has no Debian archive configured" >&2; exit 1; }
    mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/packages
    chmod 755 "$work" && chown -R _apt "$work"/lists "$work"/cache "$work"/packages
    echo "deb [signed-by=$keyring] $mirror sid main" >"$work/sources.list"
    options=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache")
    apt-get "${options[@]}" --quiet=2 update
    (cd "$work/packages" && apt-get "${options[@]}" --quiet=2 download "$@")
}

install_apptainer() {
    download apptainer/sid libc6/sid libseccomp2/sid libsqlite3-0/sid
    for package in "$work"/packages/*.deb; do
        case ${package##*/} in
            apptainer_*) dpkg-deb --extract "$package" "$work/apptainer" ;;
            *) dpkg-deb --extract "$package" "$work/libraries" ;;
        esac
    done
    if ! "$work/apptainer/usr/bin/apptainer" --version >/dev/null 2>&1; then
        mkdir -p "$libraries"
        find "$work/libraries" -name 'ld-linux-*.so.*' -exec cp --dereference {} "$libraries" \;
        for name in libc.so.6 libm.so.6 libresolv.so.2 libpthread.so.0 libdl.so.2 libseccomp.so.2 libsqlite3.so.0; do
            cp --dereference "$(find "$work/libraries" -name "$name" | head -1)" "$libraries/"
        done
        local loader
        loader=$(find "$libraries" -name 'ld-linux-*.so.*')
        find "$work/apptainer" -type f \( -name apptainer -o -name starter \) -perm /111 -print0 |
            xargs -0 -n 1 patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries"
    fi
    tar --directory "$work/apptainer" --create . | tar --directory / --extract --no-overwrite-dir
    local session
    session=$(apptainer buildcfg SESSIONDIR) && mkdir -p "$session"
}

ready() { works && command -v mmdebstrap unshare ip newuidmap >/dev/null; }

[ "$(id -u)" != 0 ] || add_id_ranges
if ready; then
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "error: run this as root; it installs Debian packages" >&2; exit 1; }
install_prerequisites
works || install_apptainer
works || { echo "error: Apptainer $minimum or newer could not be installed here" >&2; exit 1; }
apptainer --version

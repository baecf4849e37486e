#!/bin/sh
# Make bare Debian trees for the tests of the packaged program: `trees.sh [release ...]` into .cache/trees/<release>.
#
# Minimal, without Python; nothing is ever written into them but empty places to mount at. Needs root and debootstrap.
set -eu

cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- bullseye bookworm trixie
# shellcheck disable=SC2016
mirror=${SCR_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' \
    'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)}
mkdir -p .cache/trees
for release in "$@"; do
    [ ! -d ".cache/trees/$release" ] || continue
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || [ -z "$mirror" ]; then
        echo "set-up: .cache/trees/$release is not made, for that needs root, debootstrap and a Debian mirror" >&2
        continue
    fi
    echo "set-up: debootstrap $release" >&2
    rm -rf ".cache/trees/$release.new"
    if nice -n 10 debootstrap --variant=minbase "$release" ".cache/trees/$release.new" "$mirror" >.cache/trees/log 2>&1; then
        rm -f ".cache/trees/$release.new/var/cache/apt/archives"/*.deb
        mv ".cache/trees/$release.new" ".cache/trees/$release"
    else
        echo "set-up: that failed: $(tail -n 1 .cache/trees/log)" >&2
    fi
done

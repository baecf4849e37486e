#!/bin/sh
# Build dist/scr-<version>-image-linux-<machine>.tar, an OCI archive of the appliance: `build.sh [PROGRAM]`.
#
# The packaged file, glibc, and the usual authorities; no shell, nobody's root. Equal inputs give equal bytes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
machine=$(uname -m)
program=${1:-$(ls -t dist/scr-*-linux-"$machine" 2>/dev/null | grep -v image | head -n 1)}
[ -n "$program" ] && [ -x "$program" ] || { echo "image/build.sh: no packaged file; make package builds it" >&2; exit 1; }
for need in dpkg-deb curl; do
    command -v $need >/dev/null || { echo "image/build.sh: $need is missing; apt-get install dpkg curl" >&2; exit 1; }
done
work=${SCR_BUILD_DIR:-.cache/program}
packaging/program/inputs.sh "$work" "$here/inputs-$machine.txt"
version=$("$program" version)
version=${version#scr }
target=dist/scr-$version-image-linux-$machine.tar
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
base=$(mktemp -d)
trap 'rm -rf "$base"' EXIT
grep -v '^#' "$here/inputs-$machine.txt" | while read -r _ path; do
    dpkg-deb --extract "$work/inputs/${path##*/}" "$base"
done
mkdir -p dist
.venv/bin/python "$here/archive.py" "$base" "$program" "$version" "$target"
echo "image/build.sh: $target, $(stat -c %s "$target") bytes" >&2

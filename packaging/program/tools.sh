#!/bin/sh
# Install the packers, by hash, into <work>/build/tools, and PyOxidizer's program to <work>/build/pyoxidizer-bin.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(cd "${1:?tools.sh WORK}" && pwd)
cd "$here/../.."
lock=packaging/locks/package.txt
made=$(cat "$here/tools.sh" $lock | sha256sum)
[ "$(cat "$work/build/tools.made" 2>/dev/null)" != "$made" ] || exit 0
rm -rf "$work/build/tools"
.venv/bin/python -m pip --quiet --disable-pip-version-check --no-input install --target "$work/build/tools" --no-deps \
    --no-compile --require-hashes --only-binary :all: -r $lock
[ ! -f "$work/build/tools/bin/pyoxidizer" ] || install -m 0755 "$work/build/tools/bin/pyoxidizer" "$work/build/pyoxidizer-bin"
echo "$made" >"$work/build/tools.made"

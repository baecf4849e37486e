#!/bin/sh
# Install the locked libraries, as the oldest system takes them, into <work>/build/site; `site.sh WORK`.
#
# Wheels only, each by its hash; those for a glibc newer than the floor are passed over.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(cd "${1:?site.sh WORK}" && pwd)
cd "$here/../.."
lock=packaging/locks/run.txt
python=.venv/bin/python
machine=$(uname -m)
made=$(cat "$here/site.sh" $lock | sha256sum)-$machine
[ "$(cat "$work/build/site.made" 2>/dev/null)" != "$made" ] || exit 0
rm -rf "$work/build/site"
set --
for glibc in 2_31 2_30 2_29 2_28 2_27 2_26 2_25 2_24 2_23 2_22 2_21 2_20 2_19 2_18 2_17 2_12 2_5; do
    set -- "$@" --platform "manylinux_${glibc}_$machine"
done
set -- "$@" --platform "manylinux2014_$machine" --platform "manylinux2010_$machine" --platform "manylinux1_$machine"
$python -m pip --quiet --disable-pip-version-check --no-input install --target "$work/build/site" --no-deps --no-compile \
    --report "$work/build/site.json" --require-hashes --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
    "$@" -r $lock
echo "$made" >"$work/build/site.made"

#!/bin/sh
# Inside the old Debian: run PyOxidizer on /build/tree and the crafted interpreter; leaves /build/scr.
#
# `PROFILE=no` takes the interpreter that was built without a profile.
set -eu

[ "${PROFILE:-yes}" = yes ] && python=/build/python || python=/build/python-plain

rm -rf /build/pyoxidizer /build/shim
mkdir -p /build/pyoxidizer /build/shim
cp /recipe/cargo.sh /build/shim/cargo
cp /recipe/cc.sh /build/shim/cc
cp /recipe/pyoxidizer.bzl /build/pyoxidizer/pyoxidizer.bzl
machine=$(uname -m)
archive=$python/cpython-3.11.2-$machine-unknown-linux-gnu-pgo+lto-scr.tar.zst
[ -f "$archive" ] && [ "$archive" -nt $python/.made ] && [ "$archive" -nt /recipe/distribution.py ] \
    || $python/install/bin/python3.11 /recipe/distribution.py "$archive"
packages=$(cd /build/tree && ls | sed 's/\.py$//' | tr '\n' ',' | sed 's/,$//')
cd /build/pyoxidizer
export PATH=/build/shim:$PATH CARGO_HOME=/build/cargo
export RUSTFLAGS="-C link-arg=-static-libgcc -C strip=symbols --remap-path-prefix=/build=."
# equal inputs give equal bytes: see still.c. The crates are here (crates.sh), nothing is fetched
export CARGO_NET_OFFLINE=true
gcc -O2 -o /build/shim/still /recipe/still.c
$python/install/bin/python3.11 -c 'import random, sys; sys.stdout.buffer.write(random.Random(0).randbytes(1 << 20))' \
    >/build/shim/random
mount --bind /build/shim/random /dev/urandom
# it is known to loop for ever where something is missing, hence the limit
timeout 3000 /build/shim/still /build/pyoxidizer-bin --system-rust build --release --target-triple "$machine-unknown-linux-gnu" \
    --var distribution "$archive" --var distribution_sha256 "$(sha256sum "$archive" | cut -d' ' -f1)" \
    --var tree /build/tree --var packages "$packages"
cp "build/$machine-unknown-linux-gnu/release/install/scr" /build/scr

#!/bin/sh
# Inside the old Debian: fetch the crates that PyOxidizer links, and list them for the SBOM, into /build/crates.
#
# PyOxidizer, which packaging/locks/package.txt pins by hash, pins them in turn: version and sum of each are in it.
set -eu

made=$(cat /recipe/crates.sh; sha256sum </build/pyoxidizer-bin; rustc --version)
[ "$(cat /build/crates/.made 2>/dev/null)" != "$made" ] || exit 0
rm -rf /build/crates /build/shim
mkdir -p /build/crates /build/shim
cp /recipe/cargo.sh /build/shim/cargo
export PATH=/build/shim:$PATH CARGO_HOME=/build/cargo
cd /build/crates
timeout 300 /build/pyoxidizer-bin --system-rust init-rust-project scr >/dev/null
cd scr
cargo fetch --quiet --locked
cargo metadata --quiet --locked --format-version 1 --filter-platform "$(uname -m)-unknown-linux-gnu" >../metadata.json
printf %s "$made" >/build/crates/.made

#!/bin/sh
# Make <work>/chroot, the old Debian that everything compiled is built in; `chroot.sh WORK`. Needs root and debootstrap.
#
# inputs.txt pins the release file, that file its package lists, and those every package: debootstrap checks them.
set -eu

cd "$(dirname "$0")"
work=$(cd "${1:?chroot.sh WORK}" && pwd)
release=bullseye
packages=gcc,g++,make,libc6-dev,libffi-dev,perl,patch,pkg-config,autoconf,automake,libtool,dpkg-dev,xz-utils,bzip2,zstd,ca-certificates
made=$(cat chroot.sh inputs.txt | sha256sum)
[ "$(cat "$work/chroot/.made" 2>/dev/null)" != "$made" ] || exit 0
for need in debootstrap unshare chroot; do
    command -v $need >/dev/null || { echo "chroot.sh: $need is missing; apt-get install debootstrap util-linux" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "chroot.sh: only root can make a chroot" >&2; exit 1; }
mirror=$(cat "$work/mirror")
now=$(curl --fail --silent --show-error --location "$mirror/dists/$release/Release" | sha256sum | cut -d' ' -f1)
grep -q "^$now dists/$release/Release$" inputs.txt || {
    echo "chroot.sh: $release has changed on the mirror; check it and pin its new release file in inputs.txt" >&2
    exit 1
}
rm -rf "$work/chroot" "$work/chroot.new"
echo "chroot.sh: debootstrap $release" >&2
debootstrap --variant=minbase --include="$packages" "$release" "$work/chroot.new" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    echo "chroot.sh: debootstrap failed: $(tail -n 1 "$work/debootstrap.log")" >&2
    exit 1
}
rm -rf "$work/chroot.new/var/cache/apt/archives"/*.deb
mkdir -p "$work/chroot.new/build" "$work/chroot.new/recipe" "$work/chroot.new/rust" "$work/chroot.new/source"
echo "$made" >"$work/chroot.new/.made"
mv "$work/chroot.new" "$work/chroot"

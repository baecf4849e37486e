#!/bin/sh
# Run a command in the old Debian: `inside.sh WORK command ...`.
#
# There, /build is <work>/build, /inputs the inputs, /recipe this folder, /rust the machine's Rust toolchain, always at
# these places, so that no path of this machine gets into what is built. The mounts are gone when the command ends.
set -eu

work=$(cd "${1:?inside.sh WORK command ...}" && pwd)
shift
recipe=$(cd "$(dirname "$0")" && pwd)
rust=$(rustc --print sysroot 2>/dev/null || true)
mkdir -p "$work/build" "$work/chroot/inputs"
export work recipe rust
# shellcheck disable=SC2016
exec unshare --mount sh -eu -c '
    root=$work/chroot
    mount --bind "$work/build" "$root/build"
    mount --bind "$work/inputs" "$root/inputs"
    mount --bind "$recipe" "$root/recipe"
    [ -z "$rust" ] || mount --bind "$rust" "$root/rust"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    exec chroot "$root" /usr/bin/env -i PATH=/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/build LC_ALL=C.UTF-8 \
        SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}" "$@"
' sh "$@"

#!/bin/sh
# Build dist/scr_<version>_<architecture>.deb around the packaged file: `build.sh [PROGRAM]` (else the newest in dist).
#
# Everything in it comes from the file itself and from the sources; equal inputs give equal bytes.
set -eu

cd "$(dirname "$0")/../.."
program=${1:-$(ls -t dist/scr-*-linux-"$(uname -m)" 2>/dev/null | head -n 1)}
[ -n "$program" ] && [ -x "$program" ] || { echo "deb/build.sh: no packaged file; make package builds it" >&2; exit 1; }
command -v dpkg-deb >/dev/null || { echo "deb/build.sh: dpkg-deb is missing; apt-get install dpkg" >&2; exit 1; }
version=$("$program" version)
version=${version#scr }
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) echo "deb/build.sh: no Debian architecture is known for $(uname -m)" >&2 && exit 1 ;;
esac
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
chmod 0755 "$stage"
put() { # mode, source, place
    install -D -m "$1" "$2" "$stage/$3"
}
made() { # place, command ...: what the command prints
    place=$stage/$1
    shift
    mkdir -p "$(dirname "$place")"
    "$@" >"$place"
}
put 0755 "$program" usr/bin/scr
put 0644 appliance/files/scr.service usr/lib/systemd/system/scr.service
put 0644 appliance/files/scr.socket usr/lib/systemd/system/scr.socket
made etc/scr/scr.toml sed 's,^#data_dir = "data",data_dir = "/var/lib/scr",' appliance/files/scr.toml
made usr/share/man/man1/scr.1 "$program" manual scr
made usr/share/man/man5/scr.toml.5 "$program" manual scr.toml
made usr/share/bash-completion/completions/scr "$program" completion bash
made usr/share/zsh/vendor-completions/_scr "$program" completion zsh
made usr/share/fish/vendor_completions.d/scr.fish "$program" completion fish
made usr/share/doc/scr/copyright "$program" licenses
made usr/share/doc/scr/sbom.cdx.json "$program" licenses --sbom
put 0644 CHANGELOG.md usr/share/doc/scr/changelog
gzip -9n "$stage"/usr/share/man/man*/* "$stage/usr/share/doc/scr/changelog"

mkdir "$stage/DEBIAN"
for script in postinst prerm postrm; do
    install -m 0755 "packaging/deb/$script" "$stage/DEBIAN/$script"
done
echo /etc/scr/scr.toml >"$stage/DEBIAN/conffiles"
(cd "$stage" && find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
cat >"$stage/DEBIAN/control" <<END
Package: scr
Version: $version
Architecture: $architecture
Maintainer: scr <scr@localhost>
Installed-Size: $(du -sk "$stage" | cut -f1)
Depends: libc6 (>= 2.31), passwd
Recommends: ca-certificates
Section: admin
Priority: optional
Description: container registry in one file
 An OCI registry with console, management API, metrics, job scheduler, scanner
 and retention in one process over one data folder. Without a configuration it
 listens on this machine only.
END
find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkdir -p dist
target=dist/scr_${version}_$architecture.deb
# the program is mostly compressed already: the highest level takes a minute for a tenth less
dpkg-deb --root-owner-group -Zxz -z0 --build "$stage" "$target" >/dev/null
echo "deb/build.sh: $target, $(stat -c %s "$target") bytes" >&2

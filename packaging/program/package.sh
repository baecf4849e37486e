#!/bin/sh
# Build dist/scr-<version>-linux-<machine>, the whole program in one file: `package.sh [pyoxidizer|pyinstaller]`.
#
# Needs root (a chroot), debootstrap, unshare, curl, Rust (pyoxidizer), and a Debian mirror, a Python and a crates index as
# the machine uses them. Everything is pinned by hash. What was built is kept in .cache/program, or $SCR_BUILD_DIR: the
# first build takes long (the interpreter is trained), the next ones minutes.
set -eu

tool=${1:-pyoxidizer}
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
mkdir -p "${SCR_BUILD_DIR:-.cache/program}" dist
work=$(cd "${SCR_BUILD_DIR:-.cache/program}" && pwd)
machine=$(uname -m)

say() { echo "package.sh: $*" >&2; }
for need in debootstrap unshare chroot curl zstd git $([ "$tool" = pyoxidizer ] && echo cargo rustc); do
    command -v "$need" >/dev/null || { say "$need is missing (apt-get install debootstrap util-linux curl zstd git; rustup for Rust)"; exit 1; }
done
[ "$(id -u)" = 0 ] || { say "only root can build in a chroot"; exit 1; }

# one time for everything inside, so that equal sources give equal bytes
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain -- appliance web)" ] || commit=$commit-changed
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

say "inputs"
"$here/inputs.sh" "$work"
"$here/chroot.sh" "$work"
mkdir -p "$work/build"
say "libraries of the program"
"$here/site.sh" "$work"
"$here/tools.sh" "$work"
[ "$tool" = pyinstaller ] || [ -x "$work/build/pyoxidizer-bin" ] || {
    say "there is no PyOxidizer for $machine to install; build it: docs/packaging.md, Another architecture"
    exit 1
}
rm -rf "$work/build/source"
mkdir -p "$work/build/source"
git ls-files -z --cached --others --exclude-standard -- appliance web LICENSE | tar -c --null -T - | tar -x -C "$work/build/source"

inside() { "$here/inside.sh" "$work" "$@"; }
say "static libraries (minutes, once)"
inside /recipe/libraries.sh >"$work/libraries.log" 2>&1 || { say "failed: see $work/libraries.log"; exit 1; }
python=/build/python kind=static pack=pack.sh suffix=
if [ "$tool" = pyinstaller ]; then
    python=$python-shared kind=shared pack=pack-pyinstaller.sh suffix=-pyinstaller
fi
export PROFILE="${PROFILE:-yes}"
[ "$PROFILE" = yes ] || python=$python-plain
say "interpreter (long, once)"
inside env PROFILE="$PROFILE" /recipe/interpreter.sh $kind >"$work/interpreter.log" 2>&1 \
    || { say "failed: see $work/interpreter.log"; exit 1; }
[ "$tool" = pyinstaller ] || { say "crates" && inside /recipe/crates.sh; }
say "what goes in"
inside env SCR_COMMIT="$commit" LD_LIBRARY_PATH=$python/install/lib $python/install/bin/python3.11 -B \
    /recipe/tree.py /build/site /build/source /build/tree "$tool"
say "packing"
inside env PROFILE="$PROFILE" "/recipe/$pack" >"$work/pack.log" 2>&1 || { say "failed: see $work/pack.log"; exit 1; }
version=$("$work/build/scr$suffix" version) || { say "what was built does not run"; exit 1; }
version=${version#scr }
target=dist/scr-$version-linux-$machine$suffix
install -m 0755 "$work/build/scr$suffix" "$target.part"
mv "$target.part" "$target"
(cd dist && sha256sum "${target#dist/}" >"${target#dist/}.sha256")
say "$target, $(stat -c %s "$target") bytes"

#!/bin/sh
# Make .venv and install a hashed lock into it: `venv.sh run`, `venv.sh dev` or `venv.sh lock`.
#
# Does nothing when the lock, the project's metadata and the environment are those of the last time: their check sum
# is kept in .venv/installed-<lock>, and the interpreter that was chosen in .venv/chosen-python.
set -eu

lock=${1:?which lock: run, dev or lock}
cd "$(dirname "$0")/../.."
locks=packaging/locks

if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    # Debian's own interpreter is usually the fastest one, but comes without ensurepip
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -x /usr/bin/python3 ] \
        && /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        && ! /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then
        echo "set-up: apt-get install python3-venv (to use the system's python)" >&2
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3-venv; } \
            >/dev/null </dev/null || echo "set-up: that failed; another python is used" >&2
    fi
    if ! chosen=$(packaging/setup/python.sh); then
        echo "set-up: no CPython 3.11 to 3.14 with venv and ensurepip was found; install python3 and python3-venv" >&2
        exit 1
    fi
    echo "set-up: .venv with ${chosen#* }" >&2
    rm -rf .venv
    "${chosen##* }" -m venv .venv
    echo "$chosen" >.venv/chosen-python
fi

wanted=$(cat packaging/setup/venv.sh pyproject.toml "$locks/build.txt" "$locks/run.txt" "$locks/$lock.txt" | cksum)
if [ "$(cat ".venv/installed-$lock" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "set-up: installing $locks/$lock.txt into .venv" >&2
pip() {
    .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input "$@"
}
case $lock in
run | dev) pip install --require-hashes -r "$locks/build.txt" -r "$locks/$lock.txt" ;; # dev holds all of run
lock) pip install --require-hashes -r "$locks/build.txt" -r "$locks/run.txt" -r "$locks/lock.txt" ;;
esac
# compat: a plain path file instead of an import hook, which would cost time at each start
pip install --no-deps --no-index --no-build-isolation --config-settings editable_mode=compat -e .
echo "$wanted" >".venv/installed-$lock"

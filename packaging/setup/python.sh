#!/bin/sh
# Print the CPython to make the virtual environment with: the fastest one here that has venv and ensurepip.
#
# Builds of one version differ much: Debian's (PGO and LTO) runs pure Python up to 1.6 times as fast as one that
# pyenv configured without optimisation. So the processor time of each candidate is measured for about a tenth of a
# second, best of seven: what else the machine does hardly counts.
# Versions without wheels for every locked package would need a compiler, so only 3.11 to 3.14 are considered.
# One line: <time in microseconds> <version> <path>. Nothing, and exit 1, where no candidate fits.
set -eu

candidates() {
    for version in 3.14 3.13 3.12 3.11; do
        for folder in /usr/bin /usr/local/bin /opt/homebrew/bin "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin; do
            [ -x "$folder/python$version" ] && echo "$folder/python$version"
        done
        command -v "python$version" || true
    done
    command -v python3 || true
    [ -x /usr/bin/python3 ] && echo /usr/bin/python3
}

# shellcheck disable=SC2016
measure='
import sys, time
if not (3, 11) <= sys.version_info[:2] <= (3, 14) or sys.implementation.name != "cpython" or sys.prefix != sys.base_prefix:
    sys.exit(1)
import os, sysconfig
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
import ensurepip, venv
def work():
    seen = {}
    for number in range(60000):
        key = "%s-%d" % ("name", number % 97)
        seen[key] = seen.get(key, 0) + len(key)
    return seen
best = min((start := time.process_time(), work(), time.process_time() - start)[2] for _ in range(7))
print("%d %s %s" % (best * 1e6, sys.version.split()[0], os.path.realpath(sys.executable)))
'

candidates | sort -u | while read -r python; do
    "$python" -I -c "$measure" 2>/dev/null || true
done | sort -u -k3,3 | sort -n | head -n 1 | grep .

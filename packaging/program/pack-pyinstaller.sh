#!/bin/sh
# Inside the old Debian: run PyInstaller on /build/tree; leaves /build/scr-pyinstaller.
set -eu

python=/build/python-shared
[ "${PROFILE:-yes}" = yes ] || python=$python-plain
rm -rf /build/pyinstaller
mkdir -p /build/pyinstaller
cd /build/pyinstaller
# equal sources give equal bytes: no randomness in the order of sets, and the time of the commit
export PYTHONHASHSEED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/build/tree:/build/tools LD_LIBRARY_PATH=$python/install/lib
export PYINSTALLER_CONFIG_DIR=/build/pyinstaller/cache
$python/install/bin/python3.11 -m PyInstaller --noconfirm --clean --log-level=WARN --distpath dist --workpath work /recipe/scr.spec
cp dist/scr /build/scr-pyinstaller

#!/bin/sh
# Inside the old Debian: build CPython, with every module of it inside and optimised by profile and at link time.
#
# `interpreter.sh static` leaves in /build/python: `install/` (bin, lib, include), `libpython.o` (all of it but main and
# the table of modules, libraries included, every name local that is not Python's own), `config.c` (that table), licences.
# `interpreter.sh shared` leaves in /build/python-shared one with a libpython3.11.so, as PyInstaller wants it.
# PROFILE=no leaves the profile out (`…-plain`): a build in minutes, for trying the recipe, not for shipping.
set -eu

kind=${1:?static or shared}
out=/build/python
[ "$kind" = static ] || out=$out-shared
[ "${PROFILE:-yes}" = yes ] || out=$out-plain
made=$(cat /recipe/interpreter.sh /recipe/train.py /recipe/inputs.txt | sha256sum)
[ "$(cat $out/.made 2>/dev/null)" != "$made" ] || exit 0
tree=/build/cpython-$kind
rm -rf $out $tree
cd /build
dpkg-source --no-check -x /inputs/python3.11_*.dsc $tree >/dev/null
cd $tree

libraries=/build/libraries
options=--enable-optimizations
[ "${PROFILE:-yes}" = yes ] || options=
position=-fPIE
if [ "$kind" = static ]; then
    options="$options --with-lto --disable-shared"
    export LDFLAGS_NODIST="-pie"
else
    options="$options --enable-shared"
    position=-fPIC
    export LDFLAGS_NODIST="-Wl,--exclude-libs,ALL" # the libraries in it are nobody else's
fi
export MODULE_BUILDTYPE=static
export CFLAGS_NODIST="$position -g0 -ffile-prefix-map=$tree=. -fstack-protector-strong -D_FORTIFY_SOURCE=2"
export CPPFLAGS="-I$libraries/include" LDFLAGS="-L$libraries/lib"
# shellcheck disable=SC2086
./configure --prefix=$out/install $options --disable-test-modules --with-ensurepip=no \
    --with-system-expat --with-openssl=$libraries --without-static-libpython --without-doc-strings \
    --with-ssl-default-suites=openssl --enable-loadable-sqlite-extensions=no

# every module that the program uses, or may; no test, no terminal, no foreign function, no second SQLite
no="audioop nis ossaudiodev spwd readline _crypt _curses _curses_panel _dbm _gdbm _lsprof _sqlite3 _tkinter _uuid"
no="$no _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec _posixshmem"
no="$no _xxsubinterpreters _xxtestfuzz _testbuffer _testinternalcapi _testcapi _testclinic _testimportmultiple"
[ "$kind" = shared ] || no="$no _ctypes" # PyInstaller itself needs it; the program does not
no="$no _testmultiphase _ctypes_test xxlimited xxlimited_35"
pattern=$(echo "$no" | tr ' ' '|')
{
    echo "*static*"
    grep -E '^[a-z_]' Modules/Setup.stdlib | grep -v -E "^($pattern) "
    echo "*disabled*"
    echo "$no"
} >Modules/Setup.local
make -j"$(nproc)" PROFILE_TASK=/recipe/train.py
make altinstall
mkdir $out/licences
cp LICENSE $out/licences/python
if [ "$kind" = shared ]; then
    rm -rf $tree
    echo "$made" >$out/.made
    exit 0
fi

# one object of it: link-time optimisation happens here, then the libraries, then all foreign names become local
objects=$(printf 'print:\n\t@echo $(LIBRARY_OBJS)\n' | make -s -f Makefile -f - print | tr ' ' '\n' \
    | grep -v '^Modules/config.o$')
# shellcheck disable=SC2086
gcc -O3 -fPIE -flto=auto -flto-partition=one -fuse-linker-plugin -fno-semantic-interposition -r -nostdlib \
    -flinker-output=nolto-rel -o $out/core.o $objects
ld -r -o $out/whole.o $out/core.o --start-group $libraries/lib/libssl.a $libraries/lib/libcrypto.a \
    $libraries/lib/libz.a $libraries/lib/libbz2.a $libraries/lib/liblzma.a $libraries/lib/libexpat.a \
    Modules/_decimal/libmpdec/libmpdec.a --end-group
! nm --undefined-only $out/whole.o | grep -E ' (mpd_|SSL_|CRYPTO_|BZ2_|lzma_|XML_|deflate)' || exit 1
objcopy --strip-debug --wildcard --keep-global-symbol='Py*' --keep-global-symbol='_Py*' $out/whole.o $out/libpython.o
rm $out/core.o $out/whole.o
cp Modules/config.c $out/config.c
rm -rf $tree
echo "$made" >$out/.made

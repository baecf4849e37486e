#!/bin/sh
# Inside the old Debian: build CPython, with every module of it inside and optimised by profile and at link time.
#
# Leaves in /build/python (/build/python-plain without a profile): `install/` (bin, lib, include), `libpython.o` (all of it but main and the table of modules,
# libraries included, every name local that is not Python's own), `config.c` (that table), licences.
# `PROFILE=no` leaves the profile out: a build in minutes, for trying the recipe, not for shipping.
set -eu

[ "${PROFILE:-yes}" = yes ] && out=/build/python || out=/build/python-plain
made=$(cat /recipe/interpreter.sh /recipe/inputs.txt | sha256sum)-${PROFILE:-yes}
[ "$(cat $out/.made 2>/dev/null)" != "$made" ] || exit 0
rm -rf $out /build/cpython
cd /build
dpkg-source --no-check -x /inputs/python3.11_*.dsc cpython >/dev/null
cd cpython

libraries=/build/libraries
profile=--enable-optimizations
[ "${PROFILE:-yes}" = yes ] || profile=
export MODULE_BUILDTYPE=static
export CFLAGS_NODIST="-fPIE -g0 -ffile-prefix-map=/build/cpython=. -fstack-protector-strong -D_FORTIFY_SOURCE=2"
export LDFLAGS_NODIST="-pie"
export CPPFLAGS="-I$libraries/include" LDFLAGS="-L$libraries/lib"
./configure --prefix=$out/install $profile --with-lto --disable-shared --disable-test-modules --with-ensurepip=no \
    --with-system-expat --with-openssl=$libraries --without-static-libpython --without-doc-strings \
    --with-ssl-default-suites=openssl --enable-loadable-sqlite-extensions=no

# every module that the program uses, or may; no test, no terminal, no foreign function, no second SQLite
no="audioop nis ossaudiodev spwd readline _crypt _ctypes _curses _curses_panel _dbm _gdbm _lsprof _sqlite3 _tkinter _uuid"
no="$no _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec _posixshmem"
no="$no _xxsubinterpreters _xxtestfuzz _testbuffer _testinternalcapi _testcapi _testclinic _testimportmultiple"
no="$no _testmultiphase _ctypes_test xxlimited xxlimited_35"
pattern=$(echo "$no" | tr ' ' '|')
{
    echo "*static*"
    grep -E '^[a-z_]' Modules/Setup.stdlib | grep -v -E "^($pattern) "
    echo "*disabled*"
    echo "$no"
} >Modules/Setup.local
make -j"$(nproc)"
make altinstall

# one object of it: link-time optimisation happens here, then the libraries, then all foreign names become local
objects=$(printf 'print:\n\t@echo $(LIBRARY_OBJS)\n' | make -s -f Makefile -f - print | tr ' ' '\n' | grep -v '^Modules/config.o$')
# shellcheck disable=SC2086
gcc -O3 -fPIE -flto=auto -flto-partition=one -fuse-linker-plugin -fno-semantic-interposition -r -nostdlib -flinker-output=nolto-rel \
    -o $out/core.o $objects
ld -r -o $out/whole.o $out/core.o --start-group $libraries/lib/libssl.a $libraries/lib/libcrypto.a \
    Modules/_decimal/libmpdec/libmpdec.a $libraries/lib/libz.a $libraries/lib/libbz2.a $libraries/lib/liblzma.a $libraries/lib/libexpat.a --end-group
! nm --undefined-only $out/whole.o | grep -E ' (mpd_|SSL_|CRYPTO_|BZ2_|lzma_|XML_|deflate)' || exit 1
objcopy --strip-debug --wildcard --keep-global-symbol='Py*' --keep-global-symbol='_Py*' $out/whole.o $out/libpython.o
rm $out/core.o $out/whole.o
cp Modules/config.c $out/config.c
mkdir $out/licences
cp LICENSE $out/licences/python
cd /build
rm -rf cpython
echo "$made" >$out/.made

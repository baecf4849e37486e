#!/bin/sh
# Inside the old Debian: build the static libraries that the interpreter is linked with, into /build/libraries.
#
# From Debian's source packages, with Debian's patches. Position independent, for the executable is.
set -eu

prefix=/build/libraries
made=$(cat /recipe/libraries.sh /recipe/inputs.txt | sha256sum)
[ "$(cat $prefix/.made 2>/dev/null)" != "$made" ] || exit 0
rm -rf $prefix /build/sources
mkdir -p $prefix/lib $prefix/include $prefix/licences /build/sources
cd /build/sources
export CFLAGS="-O2 -fPIC -g0 -ffile-prefix-map=/build=. -fstack-protector-strong -D_FORTIFY_SOURCE=2"
jobs=$(nproc)

unpack() { # name of the source package
    dpkg-source --no-check -x /inputs/"$1"_*.dsc "$1" >/dev/null
    cp "$1/debian/copyright" "$prefix/licences/$1"
    cd "$1"
}

(unpack zlib && ./configure --static --prefix=$prefix && make -j"$jobs" libz.a && cp libz.a $prefix/lib && cp zlib.h zconf.h $prefix/include)
(unpack bzip2 && make -j"$jobs" libbz2.a CC=gcc CFLAGS="$CFLAGS -D_FILE_OFFSET_BITS=64" && cp libbz2.a $prefix/lib && cp bzlib.h $prefix/include)
(unpack xz-utils && ./configure --prefix=$prefix --disable-shared --enable-static --disable-xz --disable-xzdec --disable-lzmadec \
    --disable-lzmainfo --disable-scripts --disable-doc --disable-nls && make -j"$jobs" && make install)
(unpack expat && cd expat && ./buildconf.sh && ./configure --prefix=$prefix --disable-shared --enable-static --without-xmlwf \
    --without-tests --without-examples --without-docbook && make -j"$jobs" && make install)
# no engines, no modules, no configuration read from the host: what it can is in it
(unpack openssl && ./Configure "linux-$(uname -m)" --prefix=$prefix --libdir=lib --openssldir=/etc/ssl no-shared no-module no-engine no-dso \
    no-tests no-docs no-apps no-legacy no-ssl3 no-comp no-autoload-config enable-ec_nistp_64_gcc_128 && make -j"$jobs" build_libs && make install_dev)
rm -rf /build/sources
echo "$made" >$prefix/.made

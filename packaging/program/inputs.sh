#!/bin/sh
# Fetch the inputs of inputs.txt into <work>/inputs, each checked by its sum; `inputs.sh WORK`.
#
# The mirror is the one this machine itself uses, or $SCR_DEBIAN_MIRROR. A file that a mirror no longer has (Debian keeps
# one version a release) is named: take the newer version of that source package into inputs.txt, with its new sums.
set -eu

cd "$(dirname "$0")"
work=${1:?inputs.sh WORK}
mkdir -p "$work/inputs"

mirror() {
    if [ -n "${SCR_DEBIAN_MIRROR:-}" ]; then
        echo "${SCR_DEBIAN_MIRROR%/}"
        return
    fi
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' 'Origin: Debian' 'Label: Debian' \
        2>/dev/null | head -n 1 | sed 's,/*$,,' | grep . || {
        echo "inputs.sh: which Debian mirror? set SCR_DEBIAN_MIRROR" >&2
        exit 1
    }
}

from=$(mirror)
grep -v '^#' inputs.txt | while read -r sum path; do
    file=$work/inputs/${path##*/}
    if ! echo "$sum  $file" | sha256sum --check --status 2>/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --output "$file.part" "$from/$path" || {
            echo "inputs.sh: $path is not on the mirror; inputs.txt needs a newer version of it" >&2
            exit 1
        }
        echo "$sum  $file.part" | sha256sum --check --status || {
            echo "inputs.sh: $path is not what inputs.txt pins (expected sha256 $sum)" >&2
            exit 1
        }
        mv "$file.part" "$file"
    fi
done
echo "$from" >"$work/mirror"

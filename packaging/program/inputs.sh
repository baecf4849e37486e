#!/bin/sh
# Fetch the inputs of inputs.txt, or of LIST, into <work>/inputs, each checked by its sum; `inputs.sh WORK [LIST]`.
#
# The mirror is the one this machine itself uses, or $SCR_DEBIAN_MIRROR. A file that a mirror no longer has (Debian keeps
# one version a release) is named: take the newer version of that package into the list, with its new sums.
set -eu

work=${1:?inputs.sh WORK [LIST]}
list=${2:-$(dirname "$0")/inputs.txt}
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
grep -v '^#' "$list" | while read -r sum path; do
    file=$work/inputs/${path##*/}
    if ! echo "$sum  $file" | sha256sum --check --status 2>/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --output "$file.part" "$from/$path" || {
            echo "inputs.sh: $path is not on the mirror; $list needs a newer version of it" >&2
            exit 1
        }
        echo "$sum  $file.part" | sha256sum --check --status || {
            echo "inputs.sh: $path is not what $list pins (expected sha256 $sum)" >&2
            exit 1
        }
        mv "$file.part" "$file"
    fi
done
echo "$from" >"$work/mirror"

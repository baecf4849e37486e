#!/bin/sh
# Resolve pyproject.toml into packaging/locks: every platform and Python we support in one file each, with hashes and
# without the name of an index. `lock.sh --upgrade` takes newer versions; without it, versions stay where they can.
set -eu

cd "$(dirname "$0")/../.."
resolve() { # lock, what to resolve
    lock=$1
    shift
    .venv/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "packaging/locks/$lock.txt" "$@"
}
resolve run "$@" pyproject.toml
resolve dev "$@" --group dev pyproject.toml
resolve build "$@" --group build
resolve store "$@" --group store
resolve package "$@" --group package
resolve lock "$@" --group lock

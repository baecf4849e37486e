#!/bin/sh
# `cargo` as PyOxidizer 0.24 expects it: its reader of manifests knows no edition after 2021, which `cargo init` writes now.
if [ "$1" = init ]; then
    shift
    exec /rust/bin/cargo init --edition 2021 "$@"
fi
exec /rust/bin/cargo "$@"

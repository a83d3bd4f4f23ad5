#!/bin/bash
# Configure a build directory when it is not there yet, and build.
#
#   scripts/build.sh DIR [MESON-OPTION...]
#
# For example: CC=clang scripts/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false
# The options and CC count when the directory is made; later calls keep them. NINJA_TARGETS names
# what to build (default: everything but the tests; "none": configure only).
set -euo pipefail
cd "$(dirname "$0")/.."

directory=${1:?which build directory?}
shift
quiet=--quiet
[ ! -t 1 ] || quiet= # a person sees how far it is
if [ ! -f "$directory/build.ninja" ]; then
    [ -z "$quiet" ] && echo "Configuring $directory/ (once)"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! meson setup "$directory" "$@" >"$log" 2>&1; then
        tail -n 20 "$log"
        exit 1
    fi
fi
[ "${NINJA_TARGETS-}" != none ] || exit 0
# shellcheck disable=SC2086 # words
ninja $quiet -C "$directory" ${NINJA_TARGETS-}

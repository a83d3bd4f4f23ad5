#!/bin/bash
# Do the programs run once they are installed, outside of their build directory?
#
#   scripts/check-install.sh DIR       the build directory to install from
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DESTDIR=$folder meson install --no-rebuild --quiet -C "$1"
for program in smqd smq smqbench; do
    path=$(find "$folder" -name $program -type f)
    env --ignore-environment "$path" --help >/dev/null
done

#!/bin/bash
# Do the programs run once they are installed, outside of their build directory, and are their manual
# pages with them?
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
for page in man8/smqd.8 man1/smq.1 man1/smqbench.1 man5/smqd.conf.5; do
    if [ -z "$(find "$folder" -path "*/$page")" ]; then
        echo "$page was not installed"
        exit 1
    fi
done

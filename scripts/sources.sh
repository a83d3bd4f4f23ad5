#!/bin/bash
# List our C files: what the formatter and the linter look at.
#   scripts/sources.sh         .c and .h
#   scripts/sources.sh c       .c only
set -euo pipefail
cd "$(dirname "$0")/.."
for folder in core tls auth net server script webui client cli bench tests; do
    [ ! -d "$folder" ] || find "$folder" -name "*.[${1:-ch}]"
done | sort

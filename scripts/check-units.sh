#!/bin/bash
# Does systemd understand configs/smqd.service and smqd.socket, and does it find them safe?
#
#   scripts/check-units.sh PROGRAM     the smqd that stands for the installed one
#
# systemd need not run. Where systemd-analyze is not there, nothing is checked.
set -euo pipefail

exposure_max=2.5 # of 10, as `systemd-analyze security` counts it

if ! command -v systemd-analyze >/dev/null; then
    echo "systemd-analyze is not installed: not checked"
    exit 0
fi
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp configs/smqd.socket "$folder"
sed "s|^ExecStart=smqd |ExecStart=$program |" configs/smqd.service >"$folder/smqd.service"

# It says what it does not understand, and succeeds all the same.
complaints=$(systemd-analyze verify "$folder/smqd.service" "$folder/smqd.socket" 2>&1 |
    grep -F "$folder" || true)
if [ -n "$complaints" ]; then
    echo "$complaints"
    exit 1
fi
report=$(systemd-analyze security --offline=yes "$folder/smqd.service" 2>&1)
exposure=$(sed -n 's/.*Overall exposure level for smqd.service: \([0-9.]*\).*/\1/p' <<<"$report")
if ! awk -v is="$exposure" -v max="$exposure_max" 'BEGIN { exit !(is != "" && is <= max) }'; then
    echo "$report" | grep -e '✗' -e Overall
    exit 1
fi

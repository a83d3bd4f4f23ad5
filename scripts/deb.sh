#!/bin/bash
# Build the Debian package of this checkout into build-deb/, and print its path.
#
#   scripts/deb.sh        then, on the server: apt-get install ./smqd_*.deb
#
# dpkg-buildpackage puts what it makes beside the checkout; so it works on a copy.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null --files-from=- --create | tar --extract --directory="$copy" --one-top-level=smqd
log=$copy/log
if ! (cd "$copy/smqd" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage --build=binary --no-sign) >"$log" 2>&1; then
    tail -n 30 "$log"
    exit 1
fi
mkdir -p build-deb
mv "$copy"/*.deb build-deb/
ls build-deb/*.deb

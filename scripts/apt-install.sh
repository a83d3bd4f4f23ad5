#!/bin/bash
# Install what a group of tasks needs and this machine lacks. Says nothing when nothing is missing.
#
#   scripts/apt-install.sh build            what `make` and `make run` need
#   scripts/apt-install.sh build test       several groups at once
#
# Groups: build test fuzz bench lint package. As root apt-get is called directly, else through sudo.
set -euo pipefail

packages_of() {
    case $1 in
    build) echo gcc libc6-dev meson ninja-build pkg-config python3 \
        libck-dev liburing-dev libconfuse-dev libhttp-parser-dev libjansson-dev \
        android-libboringssl-dev libjs-dygraphs libseccomp-dev \
        liblua5.4-dev lua-sql-sqlite3 ;;
    test) echo libcriterion-dev binutils groff-base clang lld libclang-rt-dev clang-format clang-tidy python3 python3-websockets openssl gcc-arm-none-eabi \
        libmbedtls-dev lua-socket nodejs chromium $(command -v npm >/dev/null || echo npm) ;;
    fuzz) echo clang libclang-rt-dev llvm ;;
    lint) echo clang-tidy clang-format ;;
    package) echo debhelper dpkg-dev ;;
    bench) echo redis-server nats-server mosquitto ;;
    *)
        echo "apt-install.sh: no group \"$1\"; the groups are build, test, fuzz, lint, bench and package" >&2
        exit 64
        ;;
    esac
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if [ $# -eq 0 ]; then
    echo "apt-install.sh: which group? build, test, fuzz, lint, bench or package" >&2
    exit 64
fi

missing=()
for group in "$@"; do
    packages=$(packages_of "$group")
    for package in $packages; do
        if ! command -v dpkg-query >/dev/null; then
            echo "This is not a Debian or Ubuntu machine. Install the equivalents of: $packages" >&2
            echo "and then call meson yourself: meson setup build && ninja -C build" >&2
            exit 69
        fi
        if ! is_installed "$package" && [[ " ${missing[*]-} " != *" $package "* ]]; then
            missing+=("$package")
        fi
    done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing: ${missing[*]}" >&2
        echo "There is no sudo here. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 69
    fi
    as_root=(sudo)
fi

echo "Installing with apt: ${missing[*]}"

# Brokers we only compare with must not begin to serve because they were installed.
policy=/usr/sbin/policy-rc.d
if [[ " $* " == *" bench "* ]] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# A fresh machine has no package lists, and old lists name versions that are gone.
if ! install 2>/dev/null; then
    "${as_root[@]}" apt-get update --quiet=2 </dev/null >/dev/null
    if ! install; then
        echo "apt could not install them; its words are above" >&2
        exit 69
    fi
fi

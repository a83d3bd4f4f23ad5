#!/bin/bash
# bench/run.sh — measure smqd beside Redis, NATS and mosquitto on this machine, in one run.
#
#   bench/run.sh             every case; writes bench/results/latest.md, tls.md, web.md and scripts.md,
#                            and .json
#   bench/run.sh tls         all over TLS; writes tls.md alone ("web": browsers; "scripts": Lua;
#                            "latest": the rest)
#   bench/run.sh CASE...     only these; prints, and leaves bench/results alone
#   bench/run.sh --list      the cases
#
# Environment (defaults):
#   BENCH_SECONDS   length of each measurement, seconds (3; 8 where messages are sparse)
#   BENCH_DEVICE_SECONDS   how long the devices in 64 MiB are watched (60)
#   BENCH_ROUNDS    how often each is repeated, interleaved; the median counts (3)
#   SMQD, SMQBENCH, SMQ  the binaries (build/smqd, build/smqbench, build/smq)
#   TLS_MEASURE     handshakes without sockets (build/tests/unit/tls/tls_measure, built by itself)
#
# The peers are installed with apt when missing, without starting their services. Every broker
# measured is a private process on a free loopback port, stopped at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

install_peers() {
    local missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v nats-server >/dev/null || missing+=(nats-server)
    command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
    command -v python3 >/dev/null || missing+=(python3)
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        echo "bench/run.sh: please install ${missing[*]} first: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "installing ${missing[*]}" >&2
    # Debian's packages start their service at once unless policy-rc.d says no.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q \
        --no-install-recommends "${missing[@]}" >/dev/null
    rm -f "$policy"
    trap - EXIT
}

case "${1:-}" in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
--list) ;;
*)
    install_peers
    if [ -z "${TLS_MEASURE-}" ] && [ -f build/build.ninja ]; then
        NINJA_TARGETS=tests/unit/tls/tls_measure scripts/build.sh build
    fi
    ;;
esac
exec python3 -B bench/table.py "$@"

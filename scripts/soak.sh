#!/bin/bash
# Run the simulation with one random seed after another until the time is over, which are over 10^8
# steps in the default time; then each fuzz driver for a while; then 10,000 TLS devices in a memory
# cgroup of 64 MiB, each getting a message a minute.
#
#   scripts/soak.sh [SECONDS]     of the simulation (default: 600)
#
# Environment (defaults):
#   SOAK_STEPS            steps of the simulation for each seed (100000)
#   SOAK_FUZZ_SECONDS     how long each fuzz driver runs (600); 0 leaves them out
#   SOAK_DEVICE_SECONDS   how long the devices are watched (3600); 0 leaves them out
#
# A failing seed is printed with the command that repeats it; exit 1 then, and when the broker in
# 64 MiB died or lost somebody. Where no memory cgroup can be made, that run says so and is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
fuzz_seconds=${SOAK_FUZZ_SECONDS:-600}
device_seconds=${SOAK_DEVICE_SECONDS:-3600}
sim=build/tests/sim/sim
NINJA_TARGETS=tests/sim/sim scripts/build.sh build

end=$((SECONDS + seconds))
runs=0
while [ $SECONDS -lt $end ]; do
    seed=$(od --address-radix=n --format=u4 --read-bytes=4 /dev/urandom | tr -d ' ')
    if ! output=$("$sim" --seed "$seed" --steps "${SOAK_STEPS:-100000}" 2>&1 </dev/null); then
        echo "$output" | tail -n 60
        echo "failed; again: $sim --seed $seed --steps ${SOAK_STEPS:-100000}"
        exit 1
    fi
    runs=$((runs + 1))
done
echo "soak: $runs seeds in $seconds s, all passed"

if [ "$fuzz_seconds" != 0 ]; then
    echo "soak: every fuzz driver for $fuzz_seconds s"
    scripts/fuzz.sh "$fuzz_seconds"
fi

[ "$device_seconds" != 0 ] || exit 0
echo "soak: 10,000 TLS devices in 64 MiB for $device_seconds s"
BENCH_DEVICE_SECONDS=$device_seconds python3 -B bench/table.py tls64m

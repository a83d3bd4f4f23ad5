#!/bin/bash
# Run the simulation with one random seed after another until the time is over.
#
#   scripts/soak.sh [SECONDS]     default: 600
#
# A failing seed is printed with the command that repeats it; exit 1 then.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
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

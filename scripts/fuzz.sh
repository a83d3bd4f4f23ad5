#!/bin/bash
# Run every fuzz driver (tests/fuzz/fuzz_*.c) for some seconds each, starting from its seeds, as many
# at a time as there are cores.
#
#   scripts/fuzz.sh [SECONDS [NAME...]]      default: 60 seconds, all drivers
#   FAST=1 scripts/fuzz.sh ...               for volume: three to fifty times as many inputs
#
# Usually with AddressSanitizer, UBSan, and comparisons traced (which finds magic words). FAST=1
# leaves out AddressSanitizer and the tracing, and takes all that the run found through the usual
# build afterwards. It still sees undefined behaviour, and steps beyond the input's end
# (tests/fuzz/exact.h).
#
# What a driver newly found goes to build-fuzz/corpus/NAME; an input that crashes one is written
# to build-fuzz/crashes and its path printed: fix the bug, then keep the input as a seed in
# tests/fuzz/corpus/NAME. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 # a finding, not a remark

export seconds=${1:-60}
shift || true
export NINJA_TARGETS=fuzz-drivers CC=clang
scripts/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dc_args=-fsanitize=fuzzer-no-link
if [ -n "${FAST-}" ]; then
    scripts/build.sh build-fuzz-fast -Dfuzz=true -Db_lundef=false -Dbuildtype=release \
        "-Dc_args=-fsanitize=fuzzer-no-link,undefined -fsanitize-trap=undefined -fno-sanitize-coverage=trace-cmp"
fi

mkdir -p build-fuzz/crashes
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export results

# run BUILD NAME OPTION...: a driver over what it found earlier and its seeds.
run() {
    local name=$2 corpus=("build-fuzz/corpus/$2")
    mkdir -p "${corpus[0]}"
    [ ! -d "tests/fuzz/corpus/$name" ] || corpus+=("tests/fuzz/corpus/$name")
    local options=(-timeout=10 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix=build-fuzz/crashes/"$name"-)
    [ ! -f "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    # By default libFuzzer weighs its inputs by each rare thing that they do. Of a whole broker
    # these are tens of thousands, and weighing them takes ten times as long as running it.
    [ "$name" != session ] || options+=(-entropic=0)
    "$1/tests/fuzz/fuzz_$name" "${options[@]}" "${@:3}" "${corpus[@]}" </dev/null
}

# fuzz NAME: all runs of a driver, the last of them with AddressSanitizer.
fuzz() {
    if [ -n "${FAST-}" ]; then
        # tls_record: a handshake for one input in so many (for each in the run behind this one)
        FUZZ_LIBRARY_EVERY=256 run build-fuzz-fast "$1" -max_total_time="$seconds" &&
            run build-fuzz "$1" -runs=0
    else
        run build-fuzz "$1" -max_total_time="$seconds"
    fi
}

# run_driver NAME: its line, and $results/NAME when it was good.
run_driver() {
    local name=$1 log=build-fuzz/$1.log runs
    if fuzz "$name" >"$log" 2>&1; then
        touch "$results/$name"
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | head -n 1)
        echo "  ok    fuzz/$name ($runs inputs in $seconds s)"
    else
        printf '  FAIL  fuzz/%s; all of it in %s\n%s\n' "$name" "$log" "$(tail -n 40 "$log" | sed 's/^/        /')"
    fi
}
export -f run fuzz run_driver

names=()
for driver in build-fuzz/tests/fuzz/fuzz_*; do
    if [ ! -f "$driver" ] || [ ! -x "$driver" ]; then
        continue # the directory of its object files
    fi
    name=${driver##*/fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    names+=("$name")
done
if [ ${#names[@]} -eq 0 ]; then
    echo "fuzz.sh: no such driver: $*" >&2
    exit 64
fi
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'run_driver "$1"' fuzz

passed=$(find "$results" -type f | wc -l)
failed=$((${#names[@]} - passed))
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

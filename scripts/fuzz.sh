#!/bin/bash
# Run every fuzz driver (tests/fuzz/fuzz_*.c) for some seconds each, starting from its seeds, as many
# at a time as there are cores.
#
#   scripts/fuzz.sh [SECONDS [NAME...]]      default: 60 seconds, all drivers
#
# What a driver newly found goes to build-fuzz/corpus/NAME; an input that crashes one is written
# to build-fuzz/crashes and its path printed: fix the bug, then keep the input as a seed in
# tests/fuzz/corpus/NAME. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 # a finding, not a remark

export seconds=${1:-60}
shift || true
NINJA_TARGETS=fuzz-drivers CC=clang scripts/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dc_args=-fsanitize=fuzzer-no-link

mkdir -p build-fuzz/crashes
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export results

# run_driver NAME: its line, and $results/NAME when it was good.
run_driver() {
    local name=$1 log=build-fuzz/$1.log runs
    local corpus=("build-fuzz/corpus/$name")
    mkdir -p "${corpus[0]}"
    [ ! -d "tests/fuzz/corpus/$name" ] || corpus+=("tests/fuzz/corpus/$name")
    local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix=build-fuzz/crashes/"$name"-)
    [ ! -f "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    if "build-fuzz/tests/fuzz/fuzz_$name" "${options[@]}" "${corpus[@]}" >"$log" 2>&1 </dev/null; then
        touch "$results/$name"
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "  ok    fuzz/$name ($runs inputs in $seconds s)"
    else
        printf '  FAIL  fuzz/%s; all of it in %s\n%s\n' "$name" "$log" "$(tail -n 40 "$log" | sed 's/^/        /')"
    fi
}
export -f run_driver

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

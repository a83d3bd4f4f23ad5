#!/bin/bash
# Run the tests, stage by stage, and add up what passed and failed.
#
#   scripts/test.sh                   every stage
#   scripts/test.sh unit wire         only these
#   scripts/test.sh --list            their names
#
# Each stage prints a heading and a line for each program; the output of a program is shown when it
# fails. The last line is "N passed, N failed"; the exit code is 0 when nothing failed and
# something ran. What passed only at a second try (tests/README.md) is named before that line.
# FUZZ_SECONDS (default 10) is the time for each fuzz driver.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
exec </dev/null

stages=(format includes scripts builds binary firmware unit sim wire tls ws cli web lint tsan asan fuzz)
# shellcheck source=scripts/counting.sh
. scripts/counting.sh

describe() {
    case $1 in
    format) echo "the code is formatted (clang-format)" ;;
    includes) echo "includes point one way" ;;
    scripts) echo "the test runners count what happened; what documents name exists" ;;
    lint) echo "clang-tidy finds nothing" ;;
    builds) echo "clang and gcc build all of it without a warning, for release and for debugging" ;;
    binary) echo "the programs are hardened (readelf), installed, explained (man); calls through pointers are checked (clang CFI)" ;;
    firmware) echo "the device library compiles for a microcontroller" ;;
    unit) echo "unit tests (Criterion)" ;;
    sim) echo "simulation: broker and model agree, step by step" ;;
    wire) echo "wire tests: raw bytes to the real server" ;;
    tls) echo "the wire tests again, over TLS" ;;
    ws) echo "the wire tests again, over WebSocket" ;;
    cli) echo "smq and the LED example, as people run them" ;;
    web) echo "smq.js, the client for browsers, and what pages are made of (node)" ;;
    tsan) echo "what threads share, also in the whole server, under ThreadSanitizer" ;;
    asan) echo "unit and wire tests under AddressSanitizer and UBSan" ;;
    fuzz) echo "each parser's fuzzer, briefly" ;;
    esac
}

# ---- running ----

# need_build DIR [MESON-OPTION...]: build it, or count one failure.
need_build() {
    local output
    if ! output=$(scripts/build.sh "$@" 2>&1); then
        fail 1 "building $1" "$output"
        return 1
    fi
}

# meson's tests of one suite, as "name<TAB>environment and command, quoted".
list_tests() {
    meson introspect "$1" --tests | python3 -c '
import json, shlex, sys
for test in json.load(sys.stdin):
    if any(suite.split(":")[-1] == sys.argv[1] for suite in test["suite"]):
        words = ["env", *(f"{k}={v}" for k, v in test["env"].items()), *test["cmd"]]
        print(test["name"], shlex.join(words), sep="\t")
' "$2"
}

# Build and run a suite of a build directory; says so when it has none. MUST_HAVE=yes: that is a
# failure.
run_suite() {
    local directory=$1 suite=$2 name command output code targets=() any=no

    mapfile -t targets < <(meson introspect "$directory" --targets | python3 -c '
import json, os, sys
build = os.path.realpath(sys.argv[1])
wanted = {os.path.join(build, word) for command in json.loads(sys.argv[2]) for word in command}
for target in json.load(sys.stdin):
    for path in target["filename"]:
        if path in wanted:
            print(os.path.relpath(path, build))
' "$directory" "$(meson introspect "$directory" --tests | python3 -c '
import json, sys
print(json.dumps([t["cmd"] for t in json.load(sys.stdin)
                  if any(s.split(":")[-1] == sys.argv[1] for s in t["suite"])]))
' "$suite")")
    if [ ${#targets[@]} -eq 0 ] && [ "${MUST_HAVE-}" = yes ]; then
        fail 1 "there are no tests of the suite \"$suite\" in $directory"
        return
    elif [ ${#targets[@]} -eq 0 ]; then
        skip "there are no tests of the suite \"$suite\" in $directory"
        return
    fi
    NINJA_TARGETS="${targets[*]}" need_build "$directory" || return
    while IFS=$'\t' read -r name command; do
        output=$(cd "$directory" && eval "timeout 600 $command" 2>&1) # where meson runs them, too
        code=$?
        account "$name" $code "$output"
        any=yes
    done < <(list_tests "$directory" "$suite")
    [ $any = yes ]
}

# The unit tests of a build directory, which may have been configured before Criterion was there.
run_units() {
    need_build "$@" || return
    if [ -z "$(list_tests "$1" unit)" ]; then
        meson setup --reconfigure "$1" >/dev/null
    fi
    MUST_HAVE=yes run_suite "$1" unit
}

# run_wire DIR [OPTION or FILE...]: wire tests against the server of a build directory, with
# WIRE_TARGETS (default: the one with faults) built beside it.
run_wire() {
    local output code
    if [ ! -f tests/wire/run.py ]; then
        skip "tests/wire/run.py is not there"
        return
    fi
    NINJA_TARGETS="smqd ${WIRE_TARGETS-smqd-faulty}" need_build "$1" || return
    output=$(SMQD=$1/smqd timeout 1800 python3 tests/wire/run.py "${@:2}" 2>&1)
    code=$?
    account "wire tests against $*" $code "$output"
}

# clang-tidy wants processors for minutes, and the tests of the real server mostly wait: so it begins
# with the first of those, behind them, when it is to come at all; stage_lint hears what it says.
lint_output='' lint_group=''
trap '[ -z "$lint_group" ] || kill -- -"$lint_group" 2>/dev/null' EXIT
begin_lint() {
    [ -z "$lint_output" ] || return 0
    lint_output=$(mktemp)
    set -m # a process group of its own, to be ended as one
    nice -n 19 scripts/lint.sh >"$lint_output" 2>&1 &
    lint_group=$!
    set +m
}

# ---- stages ----

stage_format() {
    # shellcheck disable=SC2046 # our file names have no blanks
    check "clang-format" clang-format --dry-run -Werror $(scripts/sources.sh)
}

stage_includes() {
    check "include directions" scripts/check-includes.sh
}

stage_scripts() {
    local output
    output=$(timeout 600 python3 tests/scripts/test_runner.py 2>&1)
    account "counting, and second tries" $? "$output"
    output=$(timeout 60 python3 tests/scripts/test_documents.py 2>&1)
    account "what documents name exists" $? "$output"
}

stage_lint() {
    begin_lint
    wait "$lint_group"
    account "clang-tidy" $? "$(<"$lint_output")"
    rm -f "$lint_output"
    lint_output='' lint_group=''
}

# gcc's release build is everybody's else.
stage_builds() {
    CC=clang check "clang, release" scripts/build.sh build-clang
    check "gcc, debug" scripts/build.sh build-debug -Dbuildtype=debug
    CC=clang check "clang, debug" scripts/build.sh build-clang-debug -Dbuildtype=debug
}

# gcc's programs as they are shipped, clang's the same, and clang's with its control-flow integrity,
# which must not mind that TLS, JSON and HTTP come from libraries that know nothing of it.
stage_binary() {
    local output
    need_build build && check "gcc's programs" scripts/check-binary.sh build/smqd build/smq
    CC=clang need_build build-clang &&
        check "clang's programs" scripts/check-binary.sh build-clang/smqd build-clang/smq
    check "systemd units" scripts/check-units.sh build/smqd
    check "installed programs" scripts/check-install.sh build
    output=$(timeout 600 python3 tests/scripts/test_manual.py 2>&1)
    account "manual pages" $? "$output"
    CC=clang CC_LD=lld NINJA_TARGETS="smqd smq" need_build build-cfi -Db_lto=true -Dcfi=true || return
    check "with control-flow integrity" scripts/check-binary.sh build-cfi/smqd build-cfi/smq
    SMQ=build-cfi/smq run_wire build-cfi --tls tls handshake publish takeover http websocket auth
}

stage_firmware() {
    if ! command -v arm-none-eabi-gcc >/dev/null; then
        skip "arm-none-eabi-gcc is not installed (scripts/apt-install.sh test)"
        return
    fi
    check "client/smq.c for a Cortex-M0+: $(client/size.sh 2>&1 | tail -n 1)" client/size.sh
}

stage_unit() {
    run_units build
}

stage_sim() {
    check "the bugs that it must find are still in our source's words" tests/sim/mutants.py --check
    need_build build && run_suite build sim
}

stage_wire() {
    need_build build && run_wire build
}

# All of it again over TLS, with compact sessions and without.
stage_tls() {
    need_build build && SMQ=build/smq run_wire build --tls
}

stage_ws() {
    need_build build && run_wire build --ws
}

stage_cli() {
    if [ ! -f tests/client/test_cli.py ]; then
        skip "tests/client/test_cli.py is not there"
        return
    fi
    need_build build || return
    try "smq" env SMQ=build/smq SMQD=build/smqd timeout 1800 python3 tests/client/test_cli.py
}

stage_web() {
    local file
    if ! command -v node >/dev/null; then
        skip "node is not installed (scripts/apt-install.sh test)"
        return
    fi
    need_build build || return
    # Once, and by the lock file. Without it the tests that need it say so and are skipped.
    if [ ! -d tests/web/node_modules ] && ! npm ci --prefix tests/web >/dev/null 2>&1; then
        skip "npm cannot install what tests/web/package.json wants: no types, no WebSocket"
    fi
    for file in tests/web/*.test.mjs; do
        try "$file" env SMQ=build/smq SMQD=build/smqd timeout 1800 \
            node --test --test-reporter=spec "$file"
    done
    [ -x tests/web/node_modules/.bin/tsc ] || return
    check "types of smq.js (TypeScript)" tests/web/node_modules/.bin/tsc --project tests/web
}

stage_tsan() {
    # Only what the programs need: gcc refuses fences under this sanitizer, and io_uring's are fine.
    NINJA_TARGETS=none need_build build-tsan -Db_sanitize=thread -Db_lundef=false \
        -Dbuildtype=debugoptimized && MUST_HAVE=yes run_suite build-tsan tsan
    # The whole server, on four threads: what its threads share, as tests of the protocol use it. The
    # libraries are not instrumented; what is ordered through them and the kernel is not ours.
    WIRE_TARGETS='' run_wire build-tsan --shapes 2+2 bootstrap handshake takeover subscribe publish \
        order observe pubfrag disconnect protocol_errors instances model websocket auth script stats reload
}

stage_asan() {
    local before=$failed
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    run_units build-asan -Db_sanitize=address,undefined -Db_lundef=false \
        -Dbuildtype=debugoptimized
    if [ "$failed" -eq "$before" ] || [ -x build-asan/smqd ]; then
        run_suite build-asan sim
        run_wire build-asan
    fi
    unset UBSAN_OPTIONS
}

stage_fuzz() {
    local output code
    if ! compgen -G 'tests/fuzz/fuzz_*.c' >/dev/null; then
        skip "there are no drivers tests/fuzz/fuzz_*.c"
        return
    fi
    output=$(scripts/fuzz.sh "${FUZZ_SECONDS:-10}" 2>&1)
    code=$?
    grep -E '^  (ok|FAIL) ' <<<"$output"
    account "fuzz drivers, ${FUZZ_SECONDS:-10} s each" $code "$output"
}

# ---- which ones ----

if [ "${1-}" = --list ]; then
    for stage in "${stages[@]}"; do
        printf '%-10s %s\n' "$stage" "$(describe "$stage")"
    done
    exit 0
fi
[ $# -gt 0 ] || set -- "${stages[@]}"
for stage in "$@"; do
    if [ -z "$(describe "$stage")" ]; then
        echo "test.sh: no stage \"$stage\"; there are: ${stages[*]}" >&2
        exit 64
    fi
done

began=$SECONDS
to_come=$*
for stage in "$@"; do
    echo
    echo "== $stage: $(describe "$stage")"
    stage_began=$SECONDS
    [[ ! $stage =~ ^(wire|tls|ws|cli|web)$ || ! " $to_come " == *" lint "* ]] || begin_lint
    "stage_$stage"
    to_come=${to_come#"$stage"}
    to_come=${to_come# }
    echo "   ($((SECONDS - stage_began)) s)"
done

finish_counting

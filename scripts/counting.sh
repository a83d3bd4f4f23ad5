# shellcheck shell=bash
# Sourced by scripts/test.sh: count what test programs say of themselves, and give those that failed
# a second try at the end. Sets `passed` and `failed`; finish_counting prints the closing lines.

passed=0
failed=0
second_tries=()   # names of what passed only then
again_names=()    # programs to be run once more,
again_commands=() # and their commands, quoted

# In an output: a server crashed, leaked, hung at its end, or a sanitizer reported. No second try
# makes up for that. The same words: tests/wire/run.py.
final='[A-Za-z]+Sanitizer|runtime error:|smqd ended with (-|null|[^ ]+, not)|smqd did not end|the server died'
final+='|it has died|left behind:|harden\.refused'

pass() {
    passed=$((passed + $1))
    echo "  ok    $2"
}

show_output() {
    [ -z "$1" ] || echo "$1" | tail -n "${TEST_OUTPUT_LINES:-60}" | sed 's/^/        /'
}

# fail COUNT NAME OUTPUT
fail() {
    failed=$((failed + $1))
    echo "  FAIL  $2"
    show_output "${3-}"
}

skip() {
    echo "  --    $1"
}

# check NAME COMMAND...: counts as one test.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass 1 "$name"
    else
        fail 1 "$name" "$output"
    fi
}

# Add what a program said of itself: Criterion's synthesis, Python unittest's or node's summary, a
# last line "N passed, N failed", or none of these: then its exit code is one test. A program that
# ended badly always counts as a failure. What its runner tried twice by itself is named at the end.
account() {
    local name=$1 code=$2 output=$3 good=0 bad=0 counted=no
    local synthesis='Tested: ([0-9]+) \| Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+)'
    local sum='([0-9]+) passed, ([0-9]+) failed'
    local unittest='Ran ([0-9]+) tests? in' part
    local node='pass ([0-9]+)[^0-9]+fail ([0-9]+)[^0-9]+cancelled ([0-9]+)'
    local lucky=() title

    if [[ $output =~ $synthesis ]]; then
        good=${BASH_REMATCH[2]} bad=$((BASH_REMATCH[3] + BASH_REMATCH[4])) counted=yes
    elif [[ $(tail -n 1 <<<"$output") =~ $sum ]]; then
        good=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]} counted=yes
    elif [[ $output =~ $unittest ]]; then
        good=${BASH_REMATCH[1]} counted=yes
        for part in failures errors skipped; do
            [[ $(tail -n 1 <<<"$output") =~ $part=([0-9]+) ]] || continue
            good=$((good - BASH_REMATCH[1]))
            [ $part = skipped ] || bad=$((bad + BASH_REMATCH[1]))
        done
        [ "$good" -ge 0 ] || good=0 # a class that could not start is an error, but not a test
    elif [[ $output =~ $node ]]; then
        good=${BASH_REMATCH[1]} bad=$((BASH_REMATCH[2] + BASH_REMATCH[3])) counted=yes
    elif [ "$code" -eq 0 ]; then
        good=1
    fi
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    # A test's own process may report after its verdict, a leak for example.
    [[ $output =~ (ERROR|WARNING|SUMMARY):\ [A-Za-z]+Sanitizer ]] && [ "$bad" -eq 0 ] && bad=1

    mapfile -t lucky < <(sed -n 's/^passed only at the second try: //p' <<<"$output")
    passed=$((passed + good))
    if [ "$bad" -gt 0 ]; then
        fail "$bad" "$name (exit code $code, $good passed)" "$output"
    elif [ $counted = yes ]; then
        echo "  ok    $name ($good)"
    else
        echo "  ok    $name"
    fi
    [ ${#lucky[@]} -eq 0 ] || [ "$bad" -gt 0 ] || show_output "$output"
    for title in "${lucky[@]}"; do
        second_tries+=("$name: $title")
    done
}

# try NAME COMMAND...: a program that is accounted for; when it fails, it is run once more, alone,
# after everything else: on a machine shared with others even a generous patience ends.
try() {
    local name=$1 output code
    shift
    output=$("$@" 2>&1)
    code=$?
    if [ $code -eq 0 ] || [[ $output =~ $final ]]; then
        account "$name" $code "$output"
        return
    fi
    echo "  again $name (exit code $code): it is run once more at the end"
    show_output "$output"
    again_names+=("$name")
    again_commands+=("$(printf '%q ' "$@")")
}

# The second tries, and the closing lines. Returns 0 when nothing failed and something ran.
finish_counting() {
    local i output code before

    [ ${#again_names[@]} -eq 0 ] || printf '\n== once more, alone, what failed\n'
    for i in "${!again_names[@]}"; do
        before=$failed
        output=$(eval "${again_commands[i]}" 2>&1)
        code=$?
        account "${again_names[i]}" $code "$output"
        [ "$failed" -gt "$before" ] || second_tries+=("${again_names[i]}")
    done
    echo
    [ -z "${began-}" ] || echo "in $((SECONDS - began)) s:"
    [ ${#second_tries[@]} -eq 0 ] || printf 'PASSED ONLY AT THE SECOND TRY: %s\n' "${second_tries[@]}"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

#!/bin/bash
# Are the programs hardened as meson.build says? Looks at the files, not at the flags.
#
#   scripts/check-binary.sh PROGRAM...
#
# One line for each thing that is missing; exit code 1 then.
set -euo pipefail

bad=0
missing() {
    echo "$program: $1"
    bad=1
}

# has WHAT-IS-MISSING-OTHERWISE PATTERN TEXT
has() {
    grep -qE "$2" <<<"$3" || missing "$1"
}

has_not() {
    ! grep -qE "$2" <<<"$3" || missing "$1"
}

for program in "$@"; do
    headers=$(readelf --wide --file-header --program-headers --dynamic "$program")
    symbols=$(readelf --wide --symbols "$program")
    producers=$(readelf --wide --string-dump=.debug_str "$program" | grep -E 'GNU C[0-9]+ ' || true)

    has "not position-independent" 'Type: +DYN' "$headers"
    has "no RELRO" 'GNU_RELRO' "$headers"
    has "not bound at its start (-z now)" 'FLAGS.*NOW' "$headers"
    has "no statement about the stack" 'GNU_STACK .* RW +0' "$headers"
    has_not "memory that can be both written and run" ' RWE +0x' "$headers"
    has_not "relocations in code" 'TEXTREL' "$headers"
    has "no stack protector" '__stack_chk_fail' "$symbols"
    has "nothing fortified" '__(memcpy|snprintf|vsnprintf|read|recv|strcpy)_chk' "$symbols"

    # gcc notes its flags in every object, clang does not.
    [ -n "$producers" ] || continue
    flags=(stack-protector-strong stack-clash-protection trivial-auto-var-init=zero)
    [ "$(uname -m)" != x86_64 ] || flags+=(cf-protection=full)
    for flag in "${flags[@]}"; do
        # No line without it. (The C library's own start files are no C, or have no such note.)
        has_not "an object without -f$flag" '.' "$(grep -v -e "-f$flag" <<<"$producers" || true)"
    done
done
exit $bad

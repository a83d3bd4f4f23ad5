#!/bin/sh
# client/size.sh — how much flash the client library takes on a Cortex-M0+.
#
# Needs the compiler alone: apt-get install gcc-arm-none-eabi. CC and CFLAGS may be given.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cc=${CC:-arm-none-eabi-gcc}
size=${SIZE:-$(echo "$cc" | sed 's/gcc$/size/')}
flags=${CFLAGS:--Os -mcpu=cortex-m0plus -mthumb -ffunction-sections}
object=$(mktemp)
trap 'rm -f "$object"' EXIT

# shellcheck disable=SC2086 # the flags are words
"$cc" -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -ffreestanding $flags \
    -I"$top" -c "$top/client/smq.c" -o "$object"
echo "$cc $flags"
"$cc" -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -ffreestanding $flags \
    -I"$top" -c "$top/client/challenge.c" -o /dev/null
"$size" "$object" | awk 'NR == 2 { printf "code %d bytes, data %d, bss %d\n", $1, $2, $3 }'

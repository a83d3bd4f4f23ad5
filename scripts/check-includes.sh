#!/bin/bash
# Includes point one way. A file may include, of ours, only what this table allows its folder;
# always from the top ("core/lane.h"), so that a line says where a thing lives.
#
# Exit 1, with FILE:LINE for each offence.
set -euo pipefail
cd "$(dirname "$0")/.."

# folder: what it may include, as prefixes
table='
core:    core/ client/smq_wire.h
tls:     tls/ core/ client/smq_wire.h
auth:    auth/ core/
net:     net/ core/ tls/ auth/ client/smq_wire.h
server:  server/ script/ webui/ net/ core/ tls/ auth/ client/smq_wire.h
webui:   webui/ core/ auth/ client/smq_wire.h
script:  script/ core/ client/smq_wire.h
client:  client/
cli:     cli/ client/ tls/ core/ auth/
bench:   bench/ client/ tls/ core/
'

offences=0
while read -r folder allowed; do
    folder=${folder%:}
    if [ -z "$folder" ] || [ ! -d "$folder" ]; then
        continue
    fi
    while IFS=: read -r file line text; do
        included=${text#*\"}
        included=${included%%\"*}
        for prefix in $allowed; do
            [[ $included == "$prefix"* ]] && continue 2
        done
        echo "$file:$line: $folder/ may not include \"$included\" (it may: $allowed)"
        offences=$((offences + 1))
    done < <(grep --recursive --line-number --include='*.[ch]' '^ *# *include *"' "$folder" || true)
done <<<"$table"

[ $offences -eq 0 ]

#!/usr/bin/env bash
# All that a quarter of an hour on a GPU can tell, in two calls; see README.md beside this file.
#   benchmarks/gpu/quarter_hour.sh first OUT [--acdc PREPARED] [--wheels FOLDER] [--device cuda] [--tiny]
#   benchmarks/gpu/quarter_hour.sh second OUT ...
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
arguments=() wheels=
while (($#)); do
    case $1 in
        --wheels) wheels=$2 && shift 2 ;;
        *) arguments+=("$1") && shift ;;
    esac
done
export PYTHONPATH="$PWD/src:$PWD/benchmarks/speed${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
if [[ -n $wheels ]]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$site:$PYTHONPATH"
fi
"$PYTHON" benchmarks/gpu/quarter_hour.py "${arguments[@]}"

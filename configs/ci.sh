#!/bin/sh
# A CI job over stdio: are the servers well, do they have the tools we rely on, does a call do what it should?
#
#   sh configs/ci.sh [switchboard.toml]
#
# Results go to stdout as JSON, everything else to stderr. Exit codes: 0 done; 1 a server or tool failed; 2 wrong
# arguments or configuration; 3 something is missing that only a person can give; 4 not sure, nothing was done.
set -eu
export SWITCHBOARD_CONFIG="${1:-$(dirname "$0")/ci.toml}"

switchboard doctor

switchboard tools --json | python3 -c '
import json, sys
missing = {"clock__current_time", "clock__convert_units"} - {tool["name"] for tool in json.load(sys.stdin)}
sys.exit(f"tools are missing: {sorted(missing)}" if missing else 0)'

switchboard call clock__convert_units value=26.2 from_unit=mile to_unit=kilometer --json

code=0
switchboard do "convert 26.2 miles to kilometers" --json || code=$?
case $code in
    0) ;;
    3 | 4) echo "the planner does not know what to do, which is no fault of the servers" >&2 ;;
    *) exit "$code" ;;
esac

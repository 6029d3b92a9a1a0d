#!/usr/bin/env bash
# step.sh HEADING COMMAND...: run one step under a heading and say how long it took.
set -euo pipefail
heading=$1
shift
echo "==> $heading"
start=$SECONDS
status=0
"$@" || status=$?
if ((status != 0)); then
	echo "<== $heading: failed with status $status after $((SECONDS - start)) s" >&2
	exit "$status"
fi
echo "<== $heading: $((SECONDS - start)) s"

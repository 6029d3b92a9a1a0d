#!/usr/bin/env bash
# Run each fuzz target of the tree for FUZZTIME; new crashers land in testdata/fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fuzztime=${FUZZTIME:-30s}
tags=${TAGS:-}

failed=0
for package in $(go list -tags "$tags" ./...); do
	for target in $(go test -tags "$tags" -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		scripts/step.sh "$package $target" \
			go test -tags "$tags" -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$package" || failed=1
	done
done
exit "$failed"

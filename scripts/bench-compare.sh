#!/usr/bin/env bash
# bench-compare.sh REF: the benchmarks of REF beside those of this tree, through benchstat.
# REF is unpacked into a temporary folder, so neither the tree nor its git state is touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ref=${1:-}
if [[ -z $ref ]]; then
	echo "bench-compare: name a revision: make bench-compare REF=main" >&2
	exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/old"
git archive "$ref" | tar -x -C "$work/old"

bench() { # bench FOLDER OUTPUT
	(cd "$1" && go test -tags "${TAGS:-}" -run '^$' -bench "${BENCH:-.}" -benchmem -count "${COUNT:-10}" ./...) >"$2"
}
bench "$work/old" "$work/old.txt"
bench . "$work/new.txt"
go -C tools build -buildvcs=false -o "$PWD/bin/tools/" tool
bin/tools/benchstat "old=$work/old.txt" "new=$work/new.txt"

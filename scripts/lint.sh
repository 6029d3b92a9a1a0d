#!/usr/bin/env bash
# Format, vet and static analysis, with the tools that tools/go.mod pins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$PWD/bin/tools
mkdir -p "$tools"
go -C tools build -buildvcs=false -o "$tools/" tool

mapfile -t files < <(find . -name '*.go' -not -path './.git/*' -not -path './bin/*' -not -path '*/testdata/*')
unformatted=$("$tools/gofumpt" -l "${files[@]}")
if [[ -n $unformatted ]]; then
	echo "these files are not formatted; run: make fmt" >&2
	echo "$unformatted" >&2
	exit 1
fi

# Every build of the tree is read: with SQL, without it, and with the end-to-end tests and those of readers.
go vet -tags 'e2e readers duckdb_arrow' ./...
CGO_ENABLED=0 go vet ./...
"$tools/staticcheck" -tags 'e2e readers duckdb_arrow' ./...
CGO_ENABLED=0 "$tools/staticcheck" ./...

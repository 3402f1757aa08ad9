#!/usr/bin/env bash
# Names every Go file that gofmt would change, and fails if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(find . -name node_modules -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not formatted (gofmt -w will do it):"
	echo "$unformatted"
	exit 1
fi

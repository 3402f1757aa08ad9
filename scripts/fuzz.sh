#!/usr/bin/env bash
# Runs every fuzz target there is, one after the other, for the time given (default 60s) each.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${1:-60s}
found=0
while IFS=: read -r file target; do
	found=$((found + 1))
	package=$(dirname "$file")
	echo "== $target in $package for $fuzztime"
	# Without a limit the minimising of interesting inputs takes most of the time.
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 100x "$package"
done < <(find . -name node_modules -prune -o -name '*_test.go' -print0 |
	xargs -0 grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/' | sort)

if [ "$found" -eq 0 ]; then
	echo "no fuzz targets found" >&2
	exit 1
fi
echo "== $found fuzz targets, no failure"

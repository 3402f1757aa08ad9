#!/usr/bin/env bash
# Copies the players from the packages that e2e/browser/package-lock.json locks. Run it after changing their
# versions there; a test compares the copies with the packages.
set -euo pipefail
cd "$(dirname "$0")"
(cd ../e2e/browser && npm ci --no-audit --no-fund)
modules=../e2e/browser/node_modules
# Without the reference to a source map, which is not here.
sed '/^\/\/# sourceMappingURL=/d' "$modules/hls.js/dist/hls.light.min.js" >static/players/hls.js
sed '/^\/\/# sourceMappingURL=/d' "$modules/mpegts.js/dist/mpegts.js" >static/players/mpegts.js
{
	echo "# Licences of the players"
	for name in hls.js mpegts.js; do
		printf '\n## %s %s\n\n' "$name" "$(node -p "require('$modules/$name/package.json').version")"
		echo '```text'
		cat "$modules/$name/LICENSE"
		if [ -f "$modules/$name/dist/$name.LICENSE.txt" ]; then printf '\n'; cat "$modules/$name/dist/$name.LICENSE.txt"; fi
		echo '```'
	done
} >static/players/LICENSES.md

#!/usr/bin/env bash
# Builds what is released into dist/: a static binary for each system in an archive with manual pages and
# shell completions, Debian packages, and SHA256SUMS. The same commit makes the same bytes on any machine
# with the same Go: no path, date, user or file mode of the machine gets in.
#
# NFPM names the program that makes Debian packages. TARGETS are the systems, OS/ARCH with spaces between
# them. VERSION and SOURCE_DATE_EPOCH, in seconds, are those of the commit unless they are given, as they must
# be where there is no repository.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra targets <<<"${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}"
nfpm=${NFPM:?NFPM names the program that makes Debian packages}

# The newest tag and the distance from it; a commit before the first tag is a version below all others.
version=${VERSION:-$(git describe --tags --dirty --abbrev=12 2>/dev/null || echo "v0.0.0-$(git rev-list --count HEAD)-g$(git rev-parse --short=12 HEAD)")}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export CGO_ENABLED=0 GOFLAGS=-trimpath TZ=UTC LC_ALL=C
umask 022

rm -rf dist
mkdir -p dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # OS ARCH FILE
	GOOS=$1 GOARCH=$2 go build -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$version" -o "$3" ./cmd/headwater
}

# Pages and completions are the same everywhere, so this machine's own binary writes them.
build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$work/native"
shared=$work/shared
mkdir -p "$shared/completions"
"$work/native" man "$shared/man"
"$work/native" completion bash >"$shared/completions/headwater.bash"
"$work/native" completion zsh >"$shared/completions/_headwater"
"$work/native" completion fish >"$shared/completions/headwater.fish"
gzip -n -9 "$shared"/man/*.1
# The modes in a working copy are whatever its owner's umask made of them.
cp -r docs LICENSE packaging "$shared/"
chmod -R u=rwX,go=rX "$shared"

for target in "${targets[@]}"; do
	os=${target%/*} arch=${target#*/}
	name=headwater_${version#v}_${os}_$arch
	folder=$work/$name
	mkdir -p "$folder"
	binary=headwater
	[ "$os" != windows ] || binary=headwater.exe
	build "$os" "$arch" "$folder/$binary"
	cp -r README.md LICENSE CHANGELOG.md docs "$folder/"
	[ "$os" = windows ] || cp -r "$shared/man" "$shared/completions" "$folder/"
	chmod -R u=rwX,go=rX "$folder"
	find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	if [ "$os" = windows ]; then
		(cd "$work" && find "$name" | sort | zip -q -X -@ "$OLDPWD/dist/$name.zip")
	else
		tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -c "$name" |
			gzip -n -9 >"dist/$name.tar.gz"
	fi
	if [ "$os" = linux ]; then
		ARCH=$arch VERSION=$version BINARY=$folder/$binary SHARED=$shared \
			"$nfpm" package --config packaging/nfpm.yaml --packager deb --target dist/
	fi
done
(cd dist && sha256sum -- * >SHA256SUMS)
ls -l dist

#!/usr/bin/env bash
# Installs the programs that the tests run, on Debian and Ubuntu, as root or through sudo. Nothing happens
# when all are there. When one is missing and cannot be installed, this says so and fails: a test is never
# skipped for want of its program.
set -euo pipefail
cd "$(dirname "$0")/.."

# What must work, and the package that brings it.
commands=(
	"gcc gcc" # for the race detector
	"ffmpeg ffmpeg"
	"ffprobe ffmpeg"
	"chromium chromium"
	"node nodejs"
	"npm npm"
	"nginx nginx"
	"varnishd varnish"
	"gst-launch-1.0 gstreamer1.0-tools"
	"gst-inspect-1.0 gstreamer1.0-tools"
	"rtmpdump rtmpdump"
	"mpv mpv"
	"setpriv util-linux"
	"vlc vlc-bin"
	"strace strace"
	"streamlink streamlink"
	"curl curl"
	"promtool prometheus"
	"logrotate logrotate"
	"python3 python3"
	"systemd-analyze systemd"
)
elements=(
	"videoconvert gstreamer1.0-plugins-base"
	"flvmux gstreamer1.0-plugins-good"
	"hlsdemux2 gstreamer1.0-plugins-good"
	"rtmp2sink gstreamer1.0-plugins-bad"
	"hlsdemux gstreamer1.0-plugins-bad"
	"openh264dec gstreamer1.0-plugins-bad"
	"faad gstreamer1.0-plugins-bad"
	"x264enc gstreamer1.0-plugins-ugly"
)

# has_command looks where daemons live as well, which are not in everybody's PATH.
has_command() { PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin" command -v "$1" >/dev/null; }

has_element() { has_command gst-inspect-1.0 && gst-inspect-1.0 --exists "$1" >/dev/null 2>&1; }

# VLC begins without its plugins, and then plays nothing.
has_vlc_plugins() { [ -n "$(find /usr/lib -name libscene_plugin.so -print -quit)" ]; }

has_libc_headers() { echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; }

# missing prints the packages of everything that does not work, each once.
missing() {
	local entry
	{
		for entry in "${commands[@]}"; do has_command "${entry% *}" || echo "${entry#* }"; done
		for entry in "${elements[@]}"; do has_element "${entry% *}" || echo "${entry#* }"; done
		has_libc_headers || echo libc6-dev
		has_vlc_plugins || echo vlc-plugin-base
	} | sort -u
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

can_be_root() { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }

# fail names what is missing and ends.
fail() {
	echo "The tests need programs that are missing and cannot be installed here: $1" >&2
	echo "Please install these packages, or what brings the same programs:" >&2
	missing | sed 's/^/  /' >&2
	exit 1
}

# keep_services_down stops what Debian starts on installation: the tests start their own on ports of their own.
keep_services_down() {
	local service
	[ -d /run/systemd/system ] || return 0
	for service in nginx varnish prometheus; do
		if grep -qx "$service" <<<"$1"; then as_root systemctl disable --now "$service" || true; fi
	done
}

# forbid_starts has Debian start no service while packages are installed, until allow_starts. An
# administrator's own policy stays.
policy=/usr/sbin/policy-rc.d
forbidden=
forbid_starts() {
	[ ! -e "$policy" ] || return 0
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
	forbidden=yes
	trap allow_starts EXIT
}

allow_starts() {
	[ -z "$forbidden" ] || as_root rm -f "$policy"
	forbidden=
}

install_packages() {
	local packages=$1
	command -v apt-get >/dev/null || fail "this is neither Debian nor Ubuntu"
	can_be_root || fail "neither root nor sudo"
	echo "Installing what the tests need: $(tr '\n' ' ' <<<"$packages")"
	as_root apt-get update -q -o DPkg::Lock::Timeout=600 >/dev/null || fail "apt-get update failed"
	# Ubuntu calls it by another name.
	apt-cache show chromium >/dev/null 2>&1 || packages=$(sed 's/^chromium$/chromium-browser/' <<<"$packages")
	forbid_starts
	# shellcheck disable=SC2086 # one argument per package
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		-o DPkg::Lock::Timeout=600 $packages >/dev/null || fail "apt-get install failed"
	allow_starts
	keep_services_down "$packages"
}

if ! command -v go >/dev/null; then
	echo "The tests need Go, at least the version that go.mod names: https://go.dev/dl/" >&2
	exit 1
fi

packages=$(missing)
if [ -n "$packages" ]; then
	install_packages "$packages"
	[ -z "$(missing)" ] || fail "still missing after the installation"
fi

# npm leaves a copy of the lock file when it is done, so an older or absent one means that something changed.
browser=e2e/browser
if [ ! "$browser/node_modules/.package-lock.json" -nt "$browser/package-lock.json" ]; then
	echo "Installing the players of the browser tests"
	(cd "$browser" && npm ci --no-audit --no-fund) || {
		echo "npm could not install what $browser/package-lock.json lists" >&2
		exit 1
	}
fi

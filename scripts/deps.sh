#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Install what a part of the project needs from the distribution, and nothing when all is there.
#
#   scripts/deps.sh build test lab docs    install what these groups lack (needs root)
#   scripts/deps.sh --list GROUP...        print the packages
#   scripts/deps.sh --check GROUP...       print the missing ones; exit 1 if there are any
#
# Names that Debian 12 and 13 share, no version in them: the compiler is the distribution's.
set -eu

build='build-essential meson ninja-build pkg-config libjson-c-dev libbsd-dev
	libsmartcols-dev zlib1g-dev libibverbs-dev librdmacm-dev libgnutls28-dev
	liburing-dev libarchive-dev'
test='libcmocka-dev clang libclang-rt-dev clang-format shellcheck codespell pyflakes3 sparse
	git python3 python3-docutils'
# mmdebstrap calls mount without depending on it; a small installation may lack it.
# gnuplot draws what peerdma bench --plot measures.
lab='mmdebstrap mount zstd python3 debian-archive-keyring gnuplot-nox'
# An ordinary user builds the image in a user namespace.
[ "$(id -u)" = 0 ] || lab="$lab uidmap"
docs='python3-docutils graphviz'

usage() {
	sed -n '3,9s/^# \{0,1\}//p' "$0"
	exit "$1"
}

check_groups() {
	for group in "$@"; do
		case $group in
		build | test | lab | docs) ;;
		*) echo "deps.sh: no group called '$group' (build, test, lab, docs)" >&2; exit 2 ;;
		esac
	done
}

packages() {
	for group in "$@"; do
		case $group in
		build) echo "$build" ;;
		test) echo "$build $test" ;;
		lab) echo "$build $lab" ;;
		docs) echo "$docs" ;;
		esac
	done | tr -s ' \t\n' '\n' | sort -u
}

missing() {
	have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null |
		sed -n 's/ installed$//p')
	printf '%s\n' "$have" "$have" "$@" | sort | uniq -u
}

# Word splitting is the point: a package name holds no blanks.
apt_install() {
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install $1 </dev/null >/dev/null
}

apt_knows() {
	for package in $1; do
		apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
	done
}

main() {
	mode=install
	case ${1:-} in
	--list) mode=list; shift ;;
	--check) mode=check; shift ;;
	-h | --help) usage 0 ;;
	esac
	[ $# -gt 0 ] || usage 2
	check_groups "$@"
	wanted=$(packages "$@")
	[ $mode != list ] || { echo "$wanted"; return 0; }

	if ! command -v dpkg-query >/dev/null; then
		echo "deps.sh: not a Debian system; make sure that you have the equivalents of:" >&2
		echo "$wanted" | tr '\n' ' ' | fold -s >&2
		echo >&2
		return 0
	fi
	# shellcheck disable=SC2086
	lacking=$(missing $wanted | tr '\n' ' ')
	[ -n "${lacking% }" ] || return 0
	if [ $mode = check ]; then
		echo "$lacking"
		return 1
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "deps.sh: packages are missing and only root can install them. Run once:" >&2
		install='apt-get install --no-install-recommends'
		echo "  sudo sh -c 'apt-get update && $install ${lacking% }'" >&2
		return 1
	fi
	echo "installing ${lacking% }"
	if ! apt_knows "$lacking" || ! apt_install "$lacking"; then
		apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null >/dev/null
		apt_install "$lacking"
	fi
}

main "$@"

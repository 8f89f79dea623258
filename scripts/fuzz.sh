#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Fuzz by hand, guided by coverage (clang's libFuzzer, with AddressSanitizer and UBSan).
#
#   scripts/fuzz.sh NAME [RUNS]    one fuzzer of tests/fuzz (100000 runs; -1: until interrupted)
#   scripts/fuzz.sh all [RUNS]     each in turn
#   scripts/fuzz.sh --list
#
# New inputs go to build/fuzz/corpus/NAME, findings to build/fuzz/found. To keep an input, copy it
# to tests/fuzz/corpus/NAME; "make test" replays that folder.
set -eu

cd "$(dirname "$0")/.."
dir=${PEERDMA_BUILD:-build}/fuzz

configure() {
	[ -f "$dir/build.ninja" ] || CC=clang meson setup "$dir" . -Dlibfuzzer=true \
		-Db_sanitize=address,undefined -Dbuildtype=debugoptimized
	ninja -C "$dir"
}

fuzzers() { # names of what was built
	find "$dir/tests/fuzz" -maxdepth 1 -type f -name 'libfuzzer_*' -printf '%f\n' |
		sed 's/^libfuzzer_//' | sort
}

fuzz() { # NAME RUNS
	local program=$dir/tests/fuzz/libfuzzer_$1 grown=$dir/corpus/$1 seeds=tests/fuzz/corpus/$1
	[ -x "$program" ] || { echo "fuzz.sh: no fuzzer '$1' (--list shows them)" >&2; return 2; }
	mkdir -p "$grown" "$dir/found"
	echo "== $1"
	"$program" -runs="$2" -max_len="${MAX_LEN:-4096}" -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$dir/found/$1-" "$grown" "$seeds"
}

main() {
	local name
	[ $# -gt 0 ] || { sed -n '3,11s/^# \{0,1\}//p' scripts/fuzz.sh; return 2; }
	configure
	case $1 in
	--list) fuzzers ;;
	all) for name in $(fuzzers); do fuzz "$name" "${2:-100000}"; done ;;
	*) fuzz "$1" "${2:-100000}" ;;
	esac
}

main "$@"

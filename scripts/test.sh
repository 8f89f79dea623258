#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run every test that needs no special hardware: what "make test" and CI run.
#
#   scripts/test.sh             all tiers
#   scripts/test.sh TIER...     these, in the order below
#   scripts/test.sh --list      the tiers
#
# The last line is "N passed, N failed, N skipped", counted by test case; exit status 0 only if none
# failed. A skip that tests/may-skip.txt does not name is a failure. Logs: build/test-logs.
set -u -o pipefail
export LC_ALL=C.UTF-8

tiers='
build   packages, and a plain build
check   static rules (scripts/check.sh)
unit    C functions, no device (tests/unit)
proto   models behind their sockets (tests/proto)
golden  the command on machines as text (tests/golden)
python  launcher and scripts (tests/lab, tests/scripts, tests/check)
asan    unit and proto under AddressSanitizer and UndefinedBehaviorSanitizer
tsan    suite "threads" under ThreadSanitizer
fuzz    corpus and a short run of each fuzzer, sanitized (tests/fuzz)
guest   stock kernel in the lab (tests/guest)
'

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 2
build=${PEERDMA_BUILD:-build}
export PEERDMA_BUILD=$build
logs=$build/test-logs
manifest=$logs/manifest
image_pid=

tier_names() { awk 'NF { print $1 }' <<<"$tiers"; }

now() { date +%s.%N; }

# TIER FORMAT RESULT STATUS START
record() {
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$(elapsed "$(now)" "$5")" >>"$manifest"
}

elapsed() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a - b }'; }

# TIER NAME COMMAND...: a program that prints TAP.
run_tap() {
	local tier=$1 tap=$logs/$2.tap log=$logs/$2.log start status
	start=$(now)
	shift 2
	timeout -k 10 "$limit" "$@" >"$tap" 2>"$log" </dev/null
	status=$?
	[ $status != 124 ] || echo "Bail out! over the limit of $limit s" >>"$tap"
	record "$tier" tap "$tap" $status "$start"
}

# Commands that print no TAP: each becomes one test case. TIER NAME DESCRIPTION COMMAND...
run_step() {
	local tier=$1 name=$2 description=$3 start status verdict=ok
	local tap=$logs/$name.tap log=$logs/$name.log
	start=$(now)
	shift 3
	timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
	status=$?
	[ $status = 0 ] || verdict='not ok'
	printf '1..1\n%s 1 - %s\n' "$verdict" "$description" >"$tap"
	record "$tier" tap "$tap" $status "$start"
	[ $status = 0 ] || tail -n 30 "$log"
	return $status
}

# TIER BUILD-DIRECTORY SUITE...: the meson tests of these suites.
run_meson() {
	local tier=$1 dir=$2 start status suites=()
	local json=$dir/meson-logs/$tier.json
	start=$(now)
	shift 2
	for suite in "$@"; do suites+=(--suite "$suite"); done
	rm -f "$json"
	timeout -k 10 "$limit" "${wrap[@]}" meson test -C "$dir" --no-rebuild --logbase "$tier" \
		"${suites[@]}" >"$logs/$tier.log" 2>&1 </dev/null
	status=$?
	record "$tier" meson "$json" $status "$start"
	[ $status = 0 ] || cp "$dir/meson-logs/$tier.txt" "$logs/$tier.log" 2>/dev/null
}

# TIER BUILD-DIRECTORY SETUP-ARGUMENT...: configure once, then build.
configure_and_build() {
	local dir=$1
	shift
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" -Dtests=enabled
	else
		meson setup "$dir" . -Dtests=enabled "$@"
	fi && ninja -C "$dir"
}
export -f configure_and_build

run_build() { # TIER DIRECTORY SETUP-ARGUMENT...
	local tier=$1 name=$1-build
	shift
	# shellcheck disable=SC2016
	run_step "$tier" "$name" "$name" bash -c 'configure_and_build "$@"' - "$@"
}

# Thread Sanitizer of older compilers cannot live with much address randomisation.
without_randomisation() {
	setarch "$(uname -m)" -R true 2>/dev/null && echo setarch "$(uname -m)" -R
}

# ---- tiers ----

tier_build() {
	run_step build packages 'packages' scripts/deps.sh test lab && run_build build "$build"
}

tier_check() { run_tap check check scripts/check.sh; }
tier_unit() { run_meson unit "$build" unit; }
tier_proto() { run_meson proto "$build" proto; }
tier_golden() { run_meson golden "$build" golden; }

tier_python() {
	local folder
	for folder in $(find tests -name 'test_*.py' -not -path 'tests/guest/*' -printf '%h\n' |
		sort -u); do
		run_tap python "python-$(basename "$folder")" scripts/pytap.py "$folder"
	done
}

tier_asan() {
	run_build asan "$build/asan" -Db_sanitize=address,undefined &&
		run_meson asan "$build/asan" unit proto
}

tier_tsan() {
	run_build tsan "$build/tsan" -Db_sanitize=thread || return
	local wrap
	read -ra wrap < <(without_randomisation)
	run_meson tsan "$build/tsan" threads
}

tier_fuzz() {
	run_build fuzz "$build/asan" -Db_sanitize=address,undefined &&
		run_meson fuzz "$build/asan" fuzz
}

# Hundreds of cases with whole user lands behind them: the longest tier by far.
tier_guest() {
	local limit=${PEERDMA_TIER_LIMIT:-3600}
	[ -n "$image_pid" ] || start_image
	wait "$image_pid"
	image_pid=
	run_tap guest guest lab/peerdma-lab test
}

# The image takes a minute of waiting for the network: begin early, beside the compilers.
start_image() {
	(lab/peerdma-lab image && lab/peerdma-lab kbuild) >"$logs/image.log" 2>&1 </dev/null &
	image_pid=$!
}

# ---- all ----

finish() {
	trap - EXIT
	[ -z "$image_pid" ] || kill "$image_pid" 2>/dev/null
	echo
	python3 scripts/testsum.py "$manifest" --expect "$(IFS=,; echo "${selected[*]}")"
	exit $?
}

choose_tiers() { # TIER...
	local tier
	mapfile -t selected < <(tier_names)
	[ $# -gt 0 ] || return 0
	for tier in "$@"; do
		if ! tier_names | grep -qxF -- "$tier"; then
			echo "test.sh: no tier '$tier'" >&2
			exit 2
		fi
	done
	mapfile -t selected < <(tier_names | grep -xF -f <(printf '%s\n' "$@"))
}

main() {
	local tier
	wrap=()
	limit=${PEERDMA_TIER_LIMIT:-900}
	[ "${1:-}" != --list ] || { grep . <<<"$tiers"; exit 0; }
	choose_tiers "$@"
	mkdir -p "$logs"
	rm -f "$logs"/*
	trap finish EXIT
	trap 'exit 130' INT TERM
	for tier in "${selected[@]}"; do
		[ "$tier" != check ] || [[ " ${selected[*]} " != *" guest "* ]] || start_image
		"tier_$tier"
		python3 scripts/testsum.py "$manifest" --tier "$tier" && continue
		[ "$tier" != build ] || exit 1
	done
}

main "$@"

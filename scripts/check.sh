#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every static rule of the project, the same for a developer and for CI. Prints TAP.
#
#   scripts/check.sh              all rules
#   scripts/check.sh RULE...      these rules
#   scripts/check.sh --list       the rules and what they demand
#   scripts/check.sh --format [FILE...]   rewrite C files as the format rule wants them
#
# A rule is a function rule_NAME that prints the offending lines, and nothing when all is well. Its
# description stands in rules below. tests/check/ plants a violation of each and expects it found.
# PEERDMA_BUILD names the build directory (build).
set -u -o pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 2
build=${PEERDMA_BUILD:-build}

rules='
whitespace  no trailing blanks or CR, a newline at the end, no tabs in Python, meson, rst, md
width       no line of code over 100 columns
spdx        the first line names the licence that the folder must have
format      C is formatted by .clang-format (macro bodies aside, where clang-format versions differ)
length      no file over 800 lines, no C or Python function over 60
includes    #include lines respect the direction of dependency
headers     public headers compile alone in C and C++, private ones in C
shell       shellcheck
python      syntax, pyflakes, and no module from outside the standard library
spelling    codespell
docs        reStructuredText has no error, relative links in Markdown lead somewhere
gcc         all builds with gcc without a warning
clang       all builds with clang without a warning
kernel      the modules: gcc with W=1, clang, sparse, checkpatch (kernel/check.sh)
names       symbols with external linkage carry the prefix of their folder
errnos      each errno that include/uapi documents has a test (tests/guest/errnos.txt)
'

max_file=800
max_function=60

# ---- which files ----

# Not in a repository, or git refuses (no git, a repository of another user): what lies there.
list_files() {
	git ls-files --cached --others --exclude-standard 2>/dev/null && [ -e .git ] && return
	find . -type f -not -path './.git/*' -not -path './build*' -not -path "./$build/*" \
		-not -name '*.pyc' | sed 's|^\./||'
}

all_files() {
	list_files | sort -u | while IFS= read -r file; do
		[ -f "$file" ] && printf '%s\n' "$file"
	done
}

# Data that is not ours to style: licences, captured trees, fuzz inputs.
own_files() {
	all_files | grep -Ev '^(LICENSES?(/|$)|tests/golden/.*/|tests/fuzz/corpus/)'
}

files() { # PATTERN: own files whose name matches the extended regular expression
	own_files | grep -E "$1"
}

text_files() {
	own_files | tr '\n' '\0' | xargs -0r grep -IlE '' --
}

scripts_of() { # INTERPRETER-PATTERN SUFFIX-PATTERN: by suffix or by the first line
	{
		files "$2"
		own_files | grep -E '(^|/)[^./]+$' | while IFS= read -r file; do
			head -n 1 "$file" | tr -d '\0' | grep -qE "^#!.*\b($1)\b" && echo "$file"
		done
	} | sort -u
}

need() { # TOOL...: complain about the missing ones
	local tool lacking=0
	for tool in "$@"; do
		if ! command -v "$tool" >/dev/null; then
			echo "$tool is not installed: run scripts/deps.sh test"
			lacking=1
		fi
	done
	return $lacking
}

# ---- text ----

rule_whitespace() {
	text_files | tr '\n' '\0' | xargs -0r grep -nE $'[ \t\r]+$' --
	text_files | while IFS= read -r file; do
		[ -z "$(tail -c 1 "$file")" ] || echo "$file: no newline at the end"
	done
	files '\.(py|rst|md|build)$' | tr '\n' '\0' | xargs -0r grep -nH $'\t' -- /dev/null
}

rule_width() {
	local file
	files '\.([chS]|py|sh|build)$' | while IFS= read -r file; do
		expand -t 8 "$file" | awk -v file="$file" 'length > 100 {
			print file ":" NR ": " length " columns" }'
	done
}

licence_of() {
	case $1 in
	kernel/*) echo 'GPL-2.0-only' ;;
	include/hw/* | include/uapi/*) echo 'GPL-2.0-only OR MIT' ;;
	*) echo 'MIT' ;;
	esac
}

# JSON and images have no comments. After "#!" the licence comes second.
rule_spdx() {
	local file want line
	text_files | grep -Ev '\.(json|svg|patch)$' | while IFS= read -r file; do
		want=$(licence_of "$file")
		line=$(head -n 2 "$file" | grep -v '^#!' | head -n 1)
		line=$(sed -nE 's/.*SPDX-License-Identifier: //; T; s, *(\*/|-->)$,,; p' <<<"$line")
		[ "$line" = "$want" ] || echo "$file:1: licence is '$line', must be '$want'"
	done
}

clang_format() {
	local version
	for version in clang-format-14 clang-format; do
		command -v $version && return
	done
}

# What versions 14 and 19 see differently is left out: macro bodies, and a cast before "~".
comparable() {
	awk '/^[ \t]*#[ \t]*define/ || more { if (!more) print "#define"; more = /\\$/; next }
		{ gsub(/\) ~/, ")~"); print }'
}

rule_format() {
	local tool file
	tool=$(clang_format) || { need clang-format; return; }
	files '\.[ch]$' | while IFS= read -r file; do
		diff -u --label "$file" --label "$file (formatted)" \
			<(comparable <"$file") \
			<("$tool" --style=file --assume-filename="$file" <"$file" | comparable)
	done
}

format_files() { # [FILE...]
	local tool
	tool=$(clang_format) || { need clang-format; return 1; }
	[ $# -gt 0 ] || mapfile -t c_files < <(files '\.[ch]$')
	[ $# = 0 ] || c_files=("$@")
	"$tool" --style=file -i "${c_files[@]}"
}

python_function_length() {
	python3 - "$max_function" "$@" <<-'END'
	import ast, sys
	limit = int(sys.argv[1])
	for path in sys.argv[2:]:
	    try:
	        tree = ast.parse(open(path, encoding="utf-8").read())
	    except SyntaxError:
	        continue  # the python rule tells
	    for node in ast.walk(tree):
	        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
	            length = (node.end_lineno or node.lineno) - node.lineno + 1
	            if length > limit:
	                print(f"{path}:{node.lineno}: {node.name} has {length} lines")
	END
}

rule_length() {
	local file
	files '\.([chS]|py|sh|build)$|(^|/)Makefile$' | while IFS= read -r file; do
		awk -v max=$max_file 'END { if (NR > max) print FILENAME ": " NR " lines" }' "$file"
	done
	files '\.[ch]$' | tr '\n' '\0' | xargs -0r awk -v max=$max_function '
		/^\{/ { start = FNR }
		/^\}/ && start {
			if (FNR - start - 1 > max)
				print FILENAME ":" start ": function of " FNR - start - 1 " lines"
			start = 0
		}'
	mapfile -t python < <(scripts_of 'python3?' '\.py$')
	[ ${#python[@]} = 0 ] || python_function_length "${python[@]}"
}

# ---- includes and headers ----

# folder: what of the project its files may include (docs/ARCHITECTURE.md). Folders not named here
# (tests/unit, tests/fuzz, ...) may include anything. The first matching line counts.
direction='
include/peerdma  include/peerdma
include/uapi     include/uapi
include/hw       include/hw
util             util
lib              lib util include/peerdma include/uapi include/hw
cli              cli util include/peerdma
bench            bench lib util include models/common
models/common    models/common util include/hw
models/accel     models/accel models/common util include/hw
models/nic       models/nic models/common util include/hw
models/nvme      models/nvme models/common util include/hw
models/fabric    models util include/hw
kernel           kernel include/uapi include/hw
tests/proto      tests util models
'

# folder: headers from outside of the project it may include, as an extended regular expression.
outside='
include/peerdma  (std(int|def|bool)|errno|sys/types|infiniband/verbs)\.h
include/uapi     linux/(types|ioctl)\.h
include/hw       (std(int|def|bool)|linux/types|asm/byteorder)\.h
util             [a-z0-9_]+\.h|(sys|arpa|netinet|linux|bits)/.*
'

table_entry() { # TABLE FILE: the entry of the folder that FILE is in
	local folder entry
	while read -r folder entry; do
		case $2 in "$folder"/*) [ -n "$folder" ] && { echo "$entry"; return; } ;; esac
	done <<<"$1"
	return 1
}

resolve_include() { # FILE HEADER: the path of HEADER in this repository, or nothing
	local dir
	case $2 in
	hw/* | uapi/* | peerdma/*) echo "include/$2"; return ;;
	lib/* | cli/* | util/* | models/* | tests/* | bench/* | kernel/*) echo "$2"; return ;;
	esac
	for dir in "$(dirname "$1")" include .; do
		if [ -f "$dir/$2" ]; then
			realpath -m --relative-to=. "$dir/$2"
			return
		fi
	done
}

include_allowed() { # FILE HEADER
	local target allowed folder
	target=$(resolve_include "$1" "$2")
	if [ -z "$target" ]; then
		allowed=$(table_entry "$outside" "$1") || return 0
		grep -qxE "$allowed" <<<"$2"
		return
	fi
	allowed=$(table_entry "$direction" "$1") || return 0
	for folder in $allowed; do
		case $target in "$folder"/*) return 0 ;; esac
	done
	return 1
}

rule_includes() {
	local file line text header
	files '\.[chS]$' | tr '\n' '\0' | xargs -0r grep -nHE '^[ \t]*#[ \t]*include[ \t]*["<]' -- |
		while IFS=: read -r file line text; do
			header=$(sed -E 's/^[^"<]*["<]([^">]*)[">].*/\1/' <<<"$text")
			include_allowed "$file" "$header" ||
				echo "$file:$line: $header is none of this folder's business"
		done
}

compile_header() { # LANGUAGE HEADER FLAG...: twice, so that the guard is tested too
	local language=$1 header=$2 compiler='gcc -Wall -Wextra -Werror'
	shift 2
	[ "$language" = c ] || compiler=${compiler/gcc/g++}
	printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		$compiler -fsyntax-only -Iinclude -I. "$@" -x "$language" - 2>&1
}

rule_headers() {
	local header
	need gcc g++ || return
	files '^include/.*\.h$' | while IFS= read -r header; do
		compile_header c "$header" -std=gnu11 -Wundef
		compile_header c++ "$header" -std=c++17 -Wundef
	done
	files '^(util|lib|cli|models|bench|tests)/.*\.h$' | while IFS= read -r header; do
		compile_header c "$header" -std=gnu17 -D_GNU_SOURCE
	done
}

# ---- other languages ----

rule_shell() {
	need shellcheck || return
	scripts_of 'ba?sh' '\.sh$|^\.ci/' | tr '\n' '\0' | xargs -0r shellcheck -x -f gcc --
}

python_modules() { # syntax, and modules that are neither standard nor ours
	python3 - "$@" <<-'END'
	import ast, pathlib, sys
	paths = [pathlib.Path(p) for p in sys.argv[1:]]
	known = set(sys.stdlib_module_names) | {"pyverbs"}  # pyverbs: in the guest only
	known |= {p.stem for p in paths} | {d.name for p in paths for d in p.parents}
	for path in paths:
	    try:
	        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
	    except SyntaxError as error:
	        print(f"{path}:{error.lineno}: {error.msg}")
	        continue
	    for node in ast.walk(tree):
	        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
	        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
	            names = [node.module]
	        for name in names:
	            if name.split(".")[0] not in known:
	                print(f"{path}:{node.lineno}: {name} is not in the standard library")
	END
}

rule_python() {
	need python3 pyflakes3 || return
	mapfile -t python < <(scripts_of 'python3?' '\.py$')
	[ ${#python[@]} = 0 ] || { python_modules "${python[@]}"; pyflakes3 "${python[@]}" 2>&1; }
}

rule_spelling() {
	need codespell || return
	text_files | tr '\n' '\0' |
		xargs -0r codespell --ignore-words=scripts/codespell-ignore.txt -- 2>&1
}

markdown_links() { # FILE
	local target
	grep -oE '\]\([^)#[:space:]]+' "$1" | sed 's/^](//' | grep -Ev '^[a-z]+:' |
		while IFS= read -r target; do
			[ -e "$(dirname "$1")/$target" ] || echo "$1: link to $target leads nowhere"
		done
}

rule_docs() {
	local file
	need rst2html || return
	files '\.rst$' | while IFS= read -r file; do
		{ rst2html --report=warning --halt=5 "$file" >/dev/null; } 2>&1
	done
	files '\.md$' | while IFS= read -r file; do
		markdown_links "$file"
	done
}

# ---- builds ----

build_with() { # COMPILER DIRECTORY
	local log
	need meson ninja "$1" || return
	if ! [ -f "$2/build.ninja" ]; then
		log=$(CC=$1 meson setup "$2" . 2>&1) || { echo "$log" | tail -n 20; return; }
	fi
	log=$(ninja -C "$2" 2>&1) || echo "$log" | grep -vE '^(\[|ninja: (Enter|build))'
}

rule_gcc() { build_with gcc "$build"; }
rule_clang() { build_with clang "$build/clang"; }

# In a tree of its own that has the tools and the headers; made once, in the cache.
rule_kernel() {
	local log
	[ -f kernel/check.sh ] || return
	need mmdebstrap || return
	log=$(PEERDMA_BUILD=$build lab/peerdma-lab kbuild --check 2>&1) ||
		echo "$log" | grep -v '^kbuild: '
}

# folder: prefixes as an extended regular expression.
prefixes='
util           util_
lib            pdma_|pdmai_
cli            cli_
models/common  mdl_
models/accel   accel_
models/nic     nic_
models/nvme    nvme_
models/fabric  fab_
'

# "main" is a program's, names that begin with "__" are the compiler's and the sanitizers'.
rule_names() {
	local folder prefix
	need nm || return
	build_with gcc "$build"
	while read -r folder prefix; do
		[ -d "$build/$folder" ] || continue
		find "$build/$folder" -name '*.o' -print0 |
			xargs -0r nm --defined-only --extern-only -A -- |
			awk -v re="^($prefix)" '$NF !~ re && $NF != "main" && $NF !~ /^__/ {
				sub(/:[^:]*$/, "", $1); print $1 ": " $NF }'
	done < <(grep . <<<"$prefixes")
}

# ---- running them ----

rule_errnos() {
	need python3 || return
	python3 scripts/errnos.py
}

rule_names_list() { awk 'NF { print $1 }' <<<"$rules"; }

run_rule() { # NUMBER RULE
	local output
	output=$("rule_$2")
	if [ -z "$output" ]; then
		echo "ok $1 - $2"
		return 0
	fi
	echo "not ok $1 - $2"
	printf '%s\n' "$output" | head -n 200 | sed 's/^/# /'
	return 1
}

main() {
	local rule number=0 status=0
	case ${1:-} in
	--list) grep . <<<"$rules"; return 0 ;;
	--format) shift; format_files "$@"; return ;;
	-*) sed -n '3,14s/^# \{0,1\}//p' "scripts/check.sh"; return 2 ;;
	esac
	[ $# -gt 0 ] || mapfile -t selected < <(rule_names_list)
	[ $# = 0 ] || selected=("$@")
	for rule in "${selected[@]}"; do
		if ! rule_names_list | grep -qxF -- "$rule"; then
			echo "check.sh: no rule '$rule'" >&2
			return 2
		fi
	done
	echo "1..${#selected[@]}"
	if [ -z "$(own_files | head -n 1)" ]; then
		echo 'Bail out! found no file to check'
		return 1
	fi
	for rule in "${selected[@]}"; do
		number=$((number + 1))
		run_rule $number "$rule" || status=1
	done
	return $status
}

main "$@"

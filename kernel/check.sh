#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What compilers and checkers say of the modules: nothing, when all is well. "peerdma-lab kbuild
# --check" runs it where the tools and the headers are.
#
#   check.sh SOURCE OUT RELEASE
set -u
export HOME=/root

source=$1 out=$2 release=$3
kernel=$source/kernel

headers() { echo "/usr/src/linux-headers-$1"; }

# NAME RELEASE ARGUMENT...: what a build says apart from its progress.
build() {
	name=$1 kdir=$(headers "$2")
	shift 2
	rm -rf "${out:?}/$name"
	if ! make -s -C "$kernel" KDIR="$kdir" MO="$out/$name" --jobserver-style=pipe -j2 \
		PEERDMA_TESTS=y "$@" modules >"$out/$name.log" 2>&1; then
		echo "$name: the build fails"
	fi
	sed "s|^|$name: |; s|$source/||g" "$out/$name.log"
}

# Every kernel that the headers are here for.
with_gcc() {
	for folder in /usr/src/linux-headers-*-amd64; do
		built=${folder#/usr/src/linux-headers-}
		build "gcc-$built" "$built" W=1
	done
}

# Debian's kernels are configured for gcc. These say otherwise to make, where the options of gcc
# come from; what the C code takes from the configuration is right for both, but for one warning.
with_clang() {
	build clang "$release" CC=clang-19 W=1 CONFIG_CC_IS_CLANG=y CONFIG_CC_IS_GCC= \
		CONFIG_GCC_VERSION=0 CONFIG_CLANG_VERSION=190100 \
		CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= CONFIG_UBSAN_BOUNDS_STRICT= \
		CONFIG_FTRACE_MCOUNT_USE_CC= CONFIG_CC_IMPLICIT_FALLTHROUGH=-Wimplicit-fallthrough \
		KCFLAGS=-Wno-duplicate-decl-specifier
}

# sparse knows neither __typeof_unqual__ nor that the length of a string is constant, as macros that
# describe a module want it, and after an error it says no more of a file. Debian's headers lack the
# script that tells whether sparse is there.
with_sparse() {
	printf '#define %s\n' '__typeof_unqual__ __typeof__' '__builtin_strlen(s) (sizeof(s) - 1)' \
		>"$out/sparse.h"
	build sparse "$release" KBUILD_CHECKSRC=2 CF="-include $out/sparse.h" |
		grep -vE 'checker-valid.sh: No such|C=2 specified, but sparse'
}

# Left out, with the reason:
#   BLOCK_COMMENT_STYLE   one-paragraph comments may end on their last line, as in the whole project
#   OPEN_BRACE            clang-format decides
#   SPLIT_STRING          a message longer than a line of code; lines end at 100 columns
#   ALLOC_WITH_SIZEOF     kzalloc(sizeof(*p)) is no worse
# Headers of trace events are a language of their own.
with_checkpatch() {
	tool=$(ls /usr/src/linux-source-*/scripts/checkpatch.pl)
	cd "$source" || return
	find kernel include/uapi -name '*.[ch]' ! -name 'trace.h' ! -name '*.mod.c' | sort |
		xargs perl "$tool" --no-tree --no-summary --terse --show-types -q -f \
			--ignore BLOCK_COMMENT_STYLE,OPEN_BRACE,SPLIT_STRING,ALLOC_WITH_SIZEOF
}

{
	with_gcc
	with_clang
	with_sparse
	with_checkpatch
} >"$out/findings" 2>&1
cat "$out/findings"
[ ! -s "$out/findings" ]

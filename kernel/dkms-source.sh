#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Put what DKMS needs to build the modules into a folder, which "dkms add" then takes.
#
#   dkms-source.sh DIR
#
# The folders keep their places to each other, so that the same Kbuild and Makefile do.
set -eu

if [ $# != 1 ] || [ -z "$1" ]; then
	echo 'usage: make -C kernel dkms-source DEST=DIR' >&2
	exit 2
fi
from=$(cd "$(dirname "$0")" && pwd)
to=$1
version=$(sh "$from/version.sh")

rm -rf "$to/kernel" "$to/include/uapi"
for folder in . peerdma peerdma_vfio; do
	mkdir -p "$to/kernel/$folder"
	for file in "$from/$folder/"*.[ch] "$from/$folder/"*.sh "$from/$folder/Kbuild" \
		"$from/$folder/Makefile"; do
		case $file in *.mod.c | */check.sh) continue ;; esac
		[ ! -f "$file" ] || install -m 644 "$file" "$to/kernel/$folder/"
	done
done
mkdir -p "$to/include/uapi/peerdma"
install -m 644 "$from/../include/uapi/peerdma/"*.h "$to/include/uapi/peerdma/"
sed "s/@VERSION@/$version/" "$from/dkms.conf.in" >"$to/dkms.conf"

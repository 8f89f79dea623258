#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Last step of the guest image, run by mmdebstrap with the root directory as argument. READY_MODULES
# lists folders of modules to store without compression: xz costs seconds per module under
# emulation.
set -eu

root=$1

for release in "$root"/usr/lib/modules/*; do
	for folder in $READY_MODULES; do
		[ -e "$release/kernel/$folder" ] || continue
		find "$release/kernel/$folder" -name '*.ko.xz' -exec xz -d {} +
	done
	chroot "$root" depmod "${release##*/}"
done

# The tests of pyverbs are documents to Debian, some of them compressed.
if [ -d "$root/usr/share/doc/rdma-core/tests" ]; then
	find "$root/usr/share/doc/rdma-core/tests" -name '*.gz' -exec gzip -df {} +
fi

# The lab has its own first process and keeps no state.
rm -rf "$root"/boot/initrd* "$root"/initrd* "$root"/vmlinuz* "$root"/var/cache/* "$root"/var/log/*
mkdir -p "$root/peerdma"

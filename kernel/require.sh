#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Can the modules be built against these headers? Says what is missing, and where to get it.
#
#   require.sh KDIR MODULE...
set -u

kdir=$1
shift

# module  option  what it is
options='
peerdma       PCI                PCI devices at all
peerdma       PCI_P2PDMA         peer-to-peer DMA in the kernel
peerdma       DMA_SHARED_BUFFER  dma-buf
peerdma_vfio  PCI_P2PDMA         peer-to-peer DMA in the kernel
peerdma_vfio  VFIO_PCI_CORE      the core of the drivers for user space
peerdma_vfio  VFIO_PCI_DMABUF    export of a BAR as dma-buf
peerdma_vfio  IOMMU_API          the IOMMU
'

say() { echo "peerdma: $*" >&2; }

release() {
	cat "$kdir/include/config/kernel.release" 2>/dev/null || echo "in $kdir"
}

no_headers() {
	version=$(basename "$(dirname "$kdir")")
	say "there are no kernel headers in $kdir"
	case $kdir in
	/lib/modules/*) say "on Debian: apt-get install linux-headers-$version" ;;
	*) say "KDIR= must name the folder that /lib/modules/RELEASE/build leads to" ;;
	esac
	exit 1
}

missing() { # MODULE...: one line for each option that the kernel has not
	echo "$options" | while read -r module option what; do
		case " $* " in *" ${module:-none} "*) ;; *) continue ;; esac
		grep -qE "^CONFIG_$option=[ym]$" "$kdir/include/config/auto.conf" && continue
		echo "kernel $(release) lacks CONFIG_$option ($what), which $module needs"
	done
}

for file in Makefile include/config/auto.conf; do
	[ -f "$kdir/$file" ] || no_headers
done
lacking=$(missing "$@")
[ -n "$lacking" ] || exit 0
echo "$lacking" | while read -r line; do say "$line"; done
case " $* " in
*" peerdma "*) echo "$lacking" | grep -q 'which peerdma needs' ||
	say 'the other module builds alone: PEERDMA_MODULES=peerdma' ;;
esac
say "Debian's kernels since 7.2 (trixie-backports) have all of them, 6.12 and 6.1 do not:"
say '  apt-get install -t trixie-backports linux-image-amd64 linux-headers-amd64'
exit 1

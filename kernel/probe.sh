#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Are the interfaces of this kernel those that the modules know? Found out by compiling, as a
# comparison of version numbers would miss what distributions bring back. Kbuild runs it.
#
#   probe.sh OUTPUT "MODULE..." CC FLAG...
#
# One that a module can't do without ends the build, with its name; else the empty file OUTPUT is
# made. What there is in one of the supported kernels and not in the others would be probed here,
# too, and written there; 7.2 and 7.3 of Debian do not differ in what the modules use.
set -u

output=$1 modules=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# name, which is a function below; module; since when it is there
needed='
dma_buf_invalidate       peerdma       7.2
phys_vec_to_sgt          peerdma       7.2
p2pdma_provider          peerdma       7.2
follow_pfnmap            peerdma       6.12
vfio_get_dmabuf_phys     peerdma_vfio  7.2
vfio_region_info_caps    peerdma_vfio  7.2
insert_page_mkwrite      peerdma_vfio  6.18
'

dma_buf_invalidate() {
	cat <<-'END'
	#include <linux/dma-buf.h>
	static void invalidate(struct dma_buf_attachment *attach) {}
	const struct dma_buf_attach_ops probe_invalidate = { .invalidate_mappings = invalidate };
	END
}

phys_vec_to_sgt() {
	cat <<-'END'
	#include <linux/dma-buf-mapping.h>
	struct sg_table *(*const probe_sgt)(struct dma_buf_attachment *,
		struct p2pdma_provider *, struct phys_vec *, size_t, size_t,
		enum dma_data_direction) = dma_buf_phys_vec_to_sgt;
	END
}

p2pdma_provider() {
	cat <<-'END'
	#include <linux/pci-p2pdma.h>
	struct p2pdma_provider *(*const probe_provider)(struct pci_dev *, int) =
		pcim_p2pdma_provider;
	END
}

follow_pfnmap() {
	cat <<-'END'
	#include <linux/mm.h>
	int (*const probe_follow)(struct follow_pfnmap_args *) = follow_pfnmap_start;
	unsigned long probe_mask(const struct follow_pfnmap_args *args);
	unsigned long probe_mask(const struct follow_pfnmap_args *args)
	{
		return args->addr_mask;
	}
	END
}

vfio_get_dmabuf_phys() {
	cat <<-'END'
	#include <linux/vfio_pci_core.h>
	const struct vfio_pci_device_ops probe_phys = {
		.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
	};
	END
}

vfio_region_info_caps() {
	cat <<-'END'
	#include <linux/vfio_pci_core.h>
	const struct vfio_device_ops probe_caps = {
		.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	};
	END
}

insert_page_mkwrite() {
	cat <<-'END'
	#include <linux/mm.h>
	vm_fault_t (*const probe_insert)(struct vm_fault *, struct page *, bool) =
		vmf_insert_page_mkwrite;
	END
}

# ---- compiling ----

# NAME COMPILER FLAG...: whether $work/NAME.c compiles.
compiles() {
	name=$1
	shift
	"$@" -w -c -o "$work/$name.o" "$work/$name.c" >"$work/$name.log" 2>&1
}

needed_names() {
	echo "$needed" | while read -r name module _; do
		case " $modules " in *" ${module:-none} "*) echo "$name" ;; esac
	done
}

# One compilation where all is well, which is nearly always.
check_needed() {
	for name in $(needed_names); do $name; done >"$work/all.c"
	compiles all "$@" && return
	lacking=
	for name in $(needed_names); do
		$name >"$work/$name.c"
		compiles "$name" "$@" || lacking="$lacking $name"
	done
	tell_lacking "$lacking"
	return 1
}

tell_lacking() { # NAMES
	for name in $1; do
		since=$(echo "$needed" | sed -n "s/^$name .* //p")
		echo "peerdma: this kernel's $name is not what the modules know (Linux $since)"
		sed 's/^/    /' "$work/$name.log" | head -n 5
	done >&2
	if [ -z "$1" ]; then
		echo 'peerdma: the compiler fails on the headers of this kernel:'
		head -n 20 "$work/all.log"
	fi >&2
}

check_needed "$@" || exit 1
: >"$output"

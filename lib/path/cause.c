// SPDX-License-Identifier: MIT
/* Names of answers, mappings and causes. */
#include "peerdma/path.h"

static const struct {
	const char *name, *title;
} causes[PDMA_CAUSES] = {
	[PDMA_CAUSE_NONE] = { "none", "nothing is in the way" },
	[PDMA_CAUSE_ACS_REDIRECT] = { "acs-redirect", "ACS sends peer requests up" },
	[PDMA_CAUSE_IOMMU_TRANSLATES] = { "iommu-translates", "the IOMMU translates" },
	[PDMA_CAUSE_HOST_BRIDGE] = { "host-bridge", "the host bridge is not on the kernel's list" },
	[PDMA_CAUSE_SILENT_CORRUPTION] = { "silent-corruption", "requests vanish silently" },
	[PDMA_CAUSE_WRITES_ONLY] = { "writes-only", "peer writes arrive, peer reads do not" },
	[PDMA_CAUSE_CROSS_SOCKET] = { "cross-socket", "the way leads across sockets" },
	[PDMA_CAUSE_SMALL_BAR] = { "small-bar", "the BAR shows a part of the memory" },
	[PDMA_CAUSE_PEERMEM] = { "peermem", "nvidia-peermem is missing or does not match" },
	[PDMA_CAUSE_NO_DMABUF] = { "no-dmabuf", "dma-buf is not supported" },
	[PDMA_CAUSE_MAPPED_BAR] = { "mapped-bar", "a mapped BAR cannot be registered by pointer" },
	[PDMA_CAUSE_MOVED_TO_RAM] = { "moved-to-ram", "the buffer is moved to host memory" },
	[PDMA_CAUSE_KERNEL_CONFIG] = { "kernel-config", "the kernel lacks an option" },
	[PDMA_CAUSE_MEMLOCK] = { "memlock", "limits or capabilities" },
	[PDMA_CAUSE_ORDERING_ATS] = { "ordering-ats", "relaxed ordering is off, or ATS is on" },
	[PDMA_CAUSE_VMM_BAR] = { "vmm-bar", "a VMM cannot map the BAR into the IOMMU" },
	[PDMA_CAUSE_IOMMU_HOLE] = { "iommu-hole", "the BAR is outside what the IOMMU can map" },
	[PDMA_CAUSE_DMA_MASK] = { "dma-mask", "the BAR lies above the initiator's DMA mask" },
	[PDMA_CAUSE_STORAGE_COMPAT] = { "storage-compat", "storage goes through host memory" },
	[PDMA_CAUSE_LIBRARY] = { "library", "a library knows nothing of the accelerator" },
	[PDMA_CAUSE_SLOW_REGISTER] = { "slow-register", "registration is slow" },
	[PDMA_CAUSE_BAR_EXHAUSTED] = { "bar-exhausted", "the visible memory is used up" },
	[PDMA_CAUSE_VENDOR_POLICY] = { "vendor-policy", "the vendor does not allow it" },
	[PDMA_CAUSE_ABOVE_4G] = { "above-4g", "firmware has no room above 4 GiB" },
	[PDMA_CAUSE_DECODE_OFF] = { "decode-off", "memory decode is off, or the device sleeps" },
	[PDMA_CAUSE_VIOMMU] = { "viommu", "a virtual IOMMU translates" },
	[PDMA_CAUSE_NOT_READABLE] = { "not-readable", "config space cannot be read" },
	[PDMA_CAUSE_NO_MEMORY] = { "no-memory", "the target has no memory BAR" },
	[PDMA_CAUSE_KERNEL_FAULT] = { "kernel-fault", "this release of the kernel has a fault" },
};

const char *pdma_cause_name(enum pdma_cause cause)
{
	return (unsigned)cause < PDMA_CAUSES ? causes[cause].name : NULL;
}

const char *pdma_cause_title(enum pdma_cause cause)
{
	return (unsigned)cause < PDMA_CAUSES ? causes[cause].title : NULL;
}

const char *pdma_answer_name(enum pdma_answer answer)
{
	return answer == PDMA_YES ? "yes" : answer == PDMA_NO ? "no" : "unknown";
}

const char *pdma_mapping_name(enum pdma_mapping mapping)
{
	static const char *const names[] = {
		[PDMA_MAP_NONE] = "none",
		[PDMA_MAP_BUS_ADDR] = "bus address",
		[PDMA_MAP_HOST_BRIDGE] = "through host bridge",
		[PDMA_MAP_IOVA] = "IOVA",
	};

	return (unsigned)mapping <= PDMA_MAP_IOVA ? names[mapping] : names[0];
}

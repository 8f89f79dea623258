#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The controller memory buffer with the stock driver."""

import mmap
import os
import sys
from pathlib import Path

from fabric import ask
from nvme_lib import (
    CTRL, PCI, Direct, data_bytes, disk, pattern, reset_controller, state, wait_live,
)  # fmt: skip
from programs import run
from tap import tap

MIB = 1 << 20
CMB = 64 * MIB
P2P = PCI / "p2pmem"


def registered() -> None:
    assert int((P2P / "size").read_text(encoding="ascii")) == CMB
    assert int((P2P / "published").read_text(encoding="ascii")) == 1
    # The queues of the driver are taken out of it.
    assert 0 < int((P2P / "available").read_text(encoding="ascii")) < CMB
    bar = (PCI / "resource").read_text(encoding="ascii").splitlines()[2].split()
    now = state()
    assert now["cmb"] == CMB and now["cmb_base"] == int(bar[0], 16), (now, bar)
    if os.environ["PEERDMA_IOMMU"] == "0":  # else nobody may map the registers beside the driver
        regs = run("nvme", "show-regs", CTRL)
        size = next(one for one in regs.splitlines() if one.startswith("cmbsz"))
        assert int(size.split(":")[1], 16) == 0x1F | CMB >> 12 << 12, size


def queues_in_the_buffer() -> None:
    queues = state()["queues"]
    assert all(q["in_cmb"] == (q["id"] != 0) for q in queues) and len(queues) > 1, queues
    before = ask("counters", "disk0")["dma"]["ctrl"]["own"]["read"]["bytes"]
    with Direct(disk()) as drive:
        drive.write(0, pattern(4096, 1))
    assert ask("counters", "disk0")["dma"]["ctrl"]["own"]["read"]["bytes"] >= before + 64


def direct_io() -> None:
    """From the disk into its own buffer and back: not one byte through host memory."""
    size = 2 * MIB
    with Direct(disk()) as drive:
        drive.write(0, pattern(size, 2))
        fd = os.open(P2P / "allocate", os.O_RDWR)
        with mmap.mmap(fd, size) as buf:
            os.close(fd)
            host = [data_bytes("host", way) for way in ("read", "write")]
            own = [data_bytes("own", way) for way in ("read", "write")]
            assert os.preadv(drive.fd, [buf], 0) == size
            assert os.pwritev(drive.fd, [buf], 64 * MIB) == size
            assert [data_bytes("host", way) for way in ("read", "write")] == host
            assert [data_bytes("own", way) for way in ("read", "write")] == [n + size for n in own]
            assert buf[:] == pattern(size, 2), "the processor reads what the disk wrote"
        assert drive.read(64 * MIB, size) == pattern(size, 2)


def memory_is_given_back() -> None:
    assert int((P2P / "available").read_text(encoding="ascii")) > CMB - 2 * MIB


def stays_over_resets() -> None:
    for reset in (reset_controller, lambda: Path(PCI / "reset").write_text("1", encoding="ascii")):
        reset()
        wait_live()
        queues_in_the_buffer()


def main() -> int:
    wait_live()
    return tap(
        {
            "registered_the_modern_way": registered,
            "queues_in_the_buffer": queues_in_the_buffer,
            "o_direct_into_the_buffer": direct_io,
            "memory_is_given_back": memory_is_given_back,
            "stays_over_resets": stays_over_resets,
        }
    )


if __name__ == "__main__":
    sys.exit(main())

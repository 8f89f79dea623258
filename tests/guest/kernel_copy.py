#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peerdma copy between a file on the NVMe disk and VRAM: by direct I/O, not through host memory."""

import os
import sys
from pathlib import Path

from nvme_lib import data_bytes, disk, wait_live
from programs import run
from tap import tap

MIB = 1 << 20
SIZE = 8 * MIB
# A file system writes more than the file; a copy through host memory would be the whole of it.
FILE_SYSTEM = 1 * MIB
BUILD = os.environ["PEERDMA_BUILD"]
ACCELERATOR = os.environ["PEERDMA_SLOT_ACC0"]
FOLDER = Path("/run/copied")
PEERDMA = f"{BUILD}/cli/peerdma"


def bind() -> None:
    for module in ("peerdma", "peerdma_vfio"):
        run("insmod", f"{BUILD}/kernel/{module}.ko")
    device = Path("/sys/bus/pci/devices") / ACCELERATOR
    (device / "driver/unbind").write_text(ACCELERATOR, encoding="ascii")
    (device / "driver_override").write_text("peerdma_vfio", encoding="ascii")
    Path("/sys/bus/pci/drivers_probe").write_text(ACCELERATOR, encoding="ascii")


def unbind() -> None:
    device = Path("/sys/bus/pci/devices") / ACCELERATOR
    (device / "driver/unbind").write_text(ACCELERATOR, encoding="ascii")
    run("rmmod", "peerdma_vfio")
    run("rmmod", "peerdma")
    (device / "driver_override").write_text("vfio-pci", encoding="ascii")
    Path("/sys/bus/pci/drivers_probe").write_text(ACCELERATOR, encoding="ascii")
    assert (device / "driver").resolve().name == "vfio-pci"


def moved() -> tuple[int, int]:
    ways = ("read", "write")
    peers = ("peer_switch", "peer_bridge")
    return (
        sum(data_bytes("host", way) for way in ways),
        sum(data_bytes(peer, way) for peer in peers for way in ways),
    )


def there_and_back() -> None:
    (FOLDER / "in").write_bytes(os.urandom(SIZE))
    os.sync()
    region = f"vfio:{ACCELERATOR}/bar2+1M:8M"
    before = moved()
    for source, target in ((str(FOLDER / "in"), region), (region, str(FOLDER / "out"))):
        said = run(PEERDMA, "copy", source, target)
        assert "by direct-io" in said, said
    after = moved()
    assert after[1] - before[1] == 2 * SIZE, (before, after)
    assert after[0] - before[0] < FILE_SYSTEM, (before, after)
    assert (FOLDER / "in").read_bytes() == (FOLDER / "out").read_bytes()


def main() -> int:
    wait_live()
    run("modprobe", "ext4")
    run("mkfs.ext4", "-q", "-F", disk(2))
    FOLDER.mkdir()
    run("mount", disk(2), str(FOLDER))
    bind()
    failed = tap({"there_and_back": there_and_back, "module_goes_away": unbind})
    run("umount", str(FOLDER))
    return failed


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PEERDMA_IOC_WHERE: the place in a BAR of what a process has mapped, and every errno of its header
but EINTR.

Numbers are typed from include/uapi/peerdma/ioctl.h, not taken from it.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
from collections.abc import Callable

import peerdma_dev as dev
from peerdma_dev import packed

IOC_WHERE = 0xC004B508
SIZE = 56
FORMAT = "=II8sQQQQII"
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name}"] for name in ("NIC0", "ACC0", "ACC1")}
BAR = 2
PAGE = mmap.PAGESIZE
MIB = 1 << 20
PROT = mmap.PROT_READ | mmap.PROT_WRITE
MAP_FIXED = 0x10
NOBODY = 65534
FD = -1

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Mapping:
    """Parts of the accelerator's BAR side by side, each an offset and a length; None: a hole."""

    def __init__(self, *parts: tuple[int | None, int]) -> None:
        self.length = sum(length for _, length in parts)
        self.address = self.map(0, self.length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        at = self.address
        path = f"/sys/bus/pci/devices/{SLOT['ACC0']}/resource{BAR}"
        fd = os.open(path, os.O_RDWR)
        for off, length in parts:
            if off is not None:
                self.map(at, length, mmap.MAP_SHARED | MAP_FIXED, fd, off)
            at += length
        os.close(fd)

    @staticmethod
    def map(at: int, length: int, flags: int, fd: int, off: int) -> int:
        got = LIBC.mmap(at, length, PROT, flags, fd, off)
        assert got != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
        return int(got)

    def __enter__(self) -> "Mapping":
        return self

    def __exit__(self, *_: object) -> None:
        LIBC.munmap(self.address, self.length)


ACC0, ACC1 = packed(SLOT["ACC0"]), packed(SLOT["ACC1"])


def request(address: int, length: int, function: bytes = ACC0) -> bytearray:
    return bytearray(struct.pack(FORMAT, SIZE, 0, function, address, length, 0, 0, 0, 0))


def found(address: int, length: int, off: int) -> None:
    data = request(address, length)
    fcntl.ioctl(FD, IOC_WHERE, data, True)
    _, _, _, _, _, got_off, bus_addr, bar, _ = struct.unpack(FORMAT, data)
    assert (bar, got_off) == (BAR, off), f"BAR {bar}, {got_off:#x}, not {BAR}, {off:#x}"
    assert bus_addr == dev.bus_address(SLOT["ACC0"], BAR) + off, f"bus address {bus_addr:#x}"


def refused(data: bytearray, want: int) -> None:
    dev.refused_unchanged(FD, IOC_WHERE, data, want)


def places() -> None:
    """Whole mappings, parts of them, single bytes; several mappings that continue each other."""
    with Mapping((3 * MIB, MIB)) as m:
        found(m.address, MIB, 3 * MIB)
        found(m.address + 5, 1, 3 * MIB + 5)
        found(m.address + PAGE - 3, 7, 3 * MIB + PAGE - 3)
        found(m.address + MIB - 1, 1, 4 * MIB - 1)
    with Mapping((0, 2 * PAGE), (2 * PAGE, PAGE)) as m:
        found(m.address + PAGE, 2 * PAGE, PAGE)


def not_one_range() -> None:
    with Mapping((2 * PAGE, PAGE), (0, PAGE), (5 * PAGE, PAGE)) as m:
        refused(request(m.address, 2 * PAGE), errno.ENXIO)
        refused(request(m.address + PAGE, 2 * PAGE), errno.ENXIO)
        found(m.address + PAGE, PAGE, 0)


def not_of_the_function() -> None:
    with Mapping((0, PAGE)) as m:
        refused(request(m.address, PAGE, ACC1), errno.ENXIO)
        refused(request(m.address, PAGE, packed(SLOT["NIC0"])), errno.ENXIO)
        refused(request(m.address, PAGE, packed("0000:7f:1f.7")), errno.ENODEV)
        # Longer than a BAR, whatever is mapped behind.
        refused(request(m.address, 1 << 40), errno.ENXIO)


def not_mapped() -> None:
    with Mapping((0, PAGE), (None, PAGE), (2 * PAGE, PAGE)) as m:
        LIBC.munmap(m.address + 2 * PAGE, PAGE)
        refused(request(m.address + PAGE, PAGE), errno.EFAULT)
        refused(request(m.address + 2 * PAGE, PAGE), errno.EFAULT)
        refused(request(m.address + 100, PAGE), errno.EFAULT)
        found(m.address, PAGE, 0)
        # Memory of the host has pages, touched or not.
        ctypes.memset(m.address + PAGE, 1, 1)
        refused(request(m.address + PAGE, PAGE), errno.EFAULT)
    for address in (0, 1 << 46, 0xFFFF888000000000, (1 << 64) - PAGE):
        refused(request(address, PAGE), errno.EFAULT)


def bad_requests() -> None:
    with Mapping((0, PAGE)) as m:
        good = request(m.address, PAGE)
        for at in (4, SIZE - 4):
            bad = bytearray(good)
            struct.pack_into("=I", bad, at, 1)
            refused(bad, errno.EINVAL)
        refused(request(m.address, PAGE, packed(SLOT["ACC0"], 1)), errno.EINVAL)
        refused(request(m.address, 0), errno.EINVAL)
        refused(request(m.address, (1 << 64) - PAGE), errno.EINVAL)
        dev.older_and_newer(FD, IOC_WHERE, good)
    dev.bad_pointer(FD, IOC_WHERE)


def without_rights() -> None:
    """Physical addresses are no user's business, not even those of his own memory."""
    with Mapping((0, PAGE)) as m:
        dev.in_child(lambda: refused(request(m.address, PAGE), errno.EPERM), NOBODY)


TESTS: list[Callable[[], None]] = [
    places, not_one_range, not_of_the_function, not_mapped, bad_requests, without_rights,
]  # fmt: skip


def main() -> int:
    global FD
    dev.insert("peerdma")
    FD = os.open("/dev/peerdma", os.O_RDWR)
    failed = dev.run_tests(TESTS)
    os.close(FD)
    dev.remove("peerdma")
    return failed


sys.exit(main())

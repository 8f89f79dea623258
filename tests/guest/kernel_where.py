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
import subprocess
import sys
from collections.abc import Callable

IOC_WHERE = 0xC004B508
SIZE = 56
FORMAT = "=II8sQQQQII"
MODULE = f"{os.environ['PEERDMA_BUILD']}/kernel/peerdma.ko"
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name}"] for name in ("NIC0", "ACC0", "ACC1")}
BAR = 2
PAGE = mmap.PAGESIZE
MIB = 1 << 20
PROT = mmap.PROT_READ | mmap.PROT_WRITE
MAP_FIXED = 0x10

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Mapping:
    """Parts of the accelerator's BAR side by side, each an offset and a length; None: a hole."""

    def __init__(self, *parts: tuple[int | None, int], slot: str = "ACC0") -> None:
        self.length = sum(length for _, length in parts)
        self.address = self.map(0, self.length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        at = self.address
        path = f"/sys/bus/pci/devices/{SLOT[slot]}/resource{BAR}"
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


def packed(bdf: str, reserved: int = 0) -> bytes:
    domain, bus, rest = bdf.split(":")
    device, function = rest.split(".")
    devfn = int(device, 16) << 3 | int(function)
    return struct.pack("=IBBH", int(domain, 16), int(bus, 16), devfn, reserved)


ACC0, ACC1 = packed(SLOT["ACC0"]), packed(SLOT["ACC1"])


def request(address: int, length: int, function: bytes = ACC0) -> bytearray:
    return bytearray(struct.pack(FORMAT, SIZE, 0, function, address, length, 0, 0, 0, 0))


def resource() -> int:
    with open(f"/sys/bus/pci/devices/{SLOT['ACC0']}/resource", encoding="ascii") as f:
        return int(f.read().splitlines()[BAR].split()[0], 16)


def found(fd: int, address: int, length: int, off: int) -> None:
    data = request(address, length)
    fcntl.ioctl(fd, IOC_WHERE, data, True)
    _, _, _, _, _, got_off, bus_addr, bar, _ = struct.unpack(FORMAT, data)
    assert (bar, got_off) == (BAR, off), f"BAR {bar}, {got_off:#x}, not {BAR}, {off:#x}"
    assert bus_addr == resource() + off, f"bus address {bus_addr:#x}"


def refused(fd: int, data: bytearray, want: int) -> None:
    before = bytes(data)
    try:
        fcntl.ioctl(fd, IOC_WHERE, data, True)
    except OSError as error:
        got = error.errno
    else:
        got = 0
    assert got == want, f"{errno.errorcode.get(got, got)}, not {errno.errorcode[want]}"
    assert bytes(data) == before, "a refused request changed its argument"


def places(fd: int) -> None:
    """Whole mappings, parts of them, single bytes; several mappings that continue each other."""
    with Mapping((3 * MIB, MIB)) as m:
        found(fd, m.address, MIB, 3 * MIB)
        found(fd, m.address + 5, 1, 3 * MIB + 5)
        found(fd, m.address + PAGE - 3, 7, 3 * MIB + PAGE - 3)
        found(fd, m.address + MIB - 1, 1, 4 * MIB - 1)
    with Mapping((0, 2 * PAGE), (2 * PAGE, PAGE)) as m:
        found(fd, m.address + PAGE, 2 * PAGE, PAGE)


def not_one_range(fd: int) -> None:
    with Mapping((2 * PAGE, PAGE), (0, PAGE), (5 * PAGE, PAGE)) as m:
        refused(fd, request(m.address, 2 * PAGE), errno.ENXIO)
        refused(fd, request(m.address + PAGE, 2 * PAGE), errno.ENXIO)
        found(fd, m.address + PAGE, PAGE, 0)


def not_of_the_function(fd: int) -> None:
    with Mapping((0, PAGE)) as m:
        refused(fd, request(m.address, PAGE, ACC1), errno.ENXIO)
        refused(fd, request(m.address, PAGE, packed(SLOT["NIC0"])), errno.ENXIO)
        refused(fd, request(m.address, PAGE, packed("0000:7f:1f.7")), errno.ENODEV)
        # Longer than a BAR, whatever is mapped behind.
        refused(fd, request(m.address, 1 << 40), errno.ENXIO)


def not_mapped(fd: int) -> None:
    with Mapping((0, PAGE), (None, PAGE), (2 * PAGE, PAGE)) as m:
        LIBC.munmap(m.address + 2 * PAGE, PAGE)
        refused(fd, request(m.address + PAGE, PAGE), errno.EFAULT)
        refused(fd, request(m.address + 2 * PAGE, PAGE), errno.EFAULT)
        refused(fd, request(m.address + 100, PAGE), errno.EFAULT)
        found(fd, m.address, PAGE, 0)
        # Memory of the host has pages, touched or not.
        ctypes.memset(m.address + PAGE, 1, 1)
        refused(fd, request(m.address + PAGE, PAGE), errno.EFAULT)
    for address in (0, 1 << 46, 0xFFFF888000000000, (1 << 64) - PAGE):
        refused(fd, request(address, PAGE), errno.EFAULT)


def bad_requests(fd: int) -> None:
    with Mapping((0, PAGE)) as m:
        good = request(m.address, PAGE)
        for at in (4, SIZE - 4):
            bad = bytearray(good)
            struct.pack_into("=I", bad, at, 1)
            refused(fd, bad, errno.EINVAL)
        refused(fd, request(m.address, PAGE, packed(SLOT["ACC0"], 1)), errno.EINVAL)
        refused(fd, request(m.address, 0), errno.EINVAL)
        refused(fd, request(m.address, (1 << 64) - PAGE), errno.EINVAL)
        longer = bytearray(good) + bytes(16)
        struct.pack_into("=I", longer, 0, SIZE + 16)
        fcntl.ioctl(fd, IOC_WHERE, bytearray(longer), True)
        longer[-1] = 1
        refused(fd, longer, errno.E2BIG)
        shorter = bytearray(good)
        struct.pack_into("=I", shorter, 0, SIZE - 1)
        refused(fd, shorter, errno.EINVAL)
    assert LIBC.ioctl(fd, ctypes.c_ulong(IOC_WHERE), ctypes.c_void_p(8)) == -1
    assert ctypes.get_errno() == errno.EFAULT


def without_rights(fd: int) -> None:
    """Physical addresses are no user's business, not even those of his own memory."""
    with Mapping((0, PAGE)) as m:
        child = os.fork()
        if not child:
            os.setuid(65534)
            try:
                refused(fd, request(m.address, PAGE), errno.EPERM)
            except AssertionError as error:
                print(f"# {error}", flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


TESTS: list[Callable[[int], None]] = [
    places, not_one_range, not_of_the_function, not_mapped, bad_requests, without_rights,
]  # fmt: skip


def main() -> int:
    subprocess.run(["insmod", MODULE], check=True)
    failed = False
    print(f"1..{len(TESTS)}")
    fd = os.open("/dev/peerdma", os.O_RDWR)
    for number, test in enumerate(TESTS, start=1):
        try:
            test(fd)
            print(f"ok {number} - {test.__name__}", flush=True)
        except (AssertionError, OSError) as error:
            failed = True
            print(f"not ok {number} - {test.__name__}\n# {error}", flush=True)
    os.close(fd)
    subprocess.run(["rmmod", "peerdma"], check=True)
    return failed


sys.exit(main())

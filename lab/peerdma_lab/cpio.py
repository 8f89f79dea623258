# SPDX-License-Identifier: MIT
"""Writes the archive format of the initial RAM file system ("newc"), the same bytes for the same
content.
"""

from typing import BinaryIO

MAGIC = "070701"
TRAILER = "TRAILER!!!"
DIRECTORY = 0o040755
FILE = 0o100644
PROGRAM = 0o100755
CHARACTER_DEVICE = 0o020600


def _pad(out: BinaryIO, length: int) -> None:
    out.write(b"\0" * (-length % 4))


class Writer:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._inode = 0

    def _entry(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = (MAGIC + "".join(f"{f:08x}" for f in fields)).encode() + encoded
        self._out.write(header)
        _pad(self._out, len(header))
        self._out.write(data)
        _pad(self._out, len(data))

    def directory(self, name: str) -> None:
        self._entry(name, DIRECTORY, b"")

    def file(self, name: str, data: bytes, mode: int = FILE) -> None:
        self._entry(name, mode, data)

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._entry(name, CHARACTER_DEVICE, b"", (major, minor))

    def finish(self) -> None:
        """Ends the archive. The kernel takes several one after the other."""
        self._inode = -1
        self._entry(TRAILER, 0, b"")

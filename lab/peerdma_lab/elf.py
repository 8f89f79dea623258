# SPDX-License-Identifier: MIT
"""Names of the shared libraries which a 64-bit little-endian ELF file asks for."""

import struct
from pathlib import Path

PT_LOAD = 1
PT_DYNAMIC = 2
DT_NULL = 0
DT_NEEDED = 1
DT_STRTAB = 5

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
ENTRY = struct.Struct("<QQ")


def _segments(data: bytes) -> list[tuple[int, ...]]:
    header = HEADER.unpack_from(data)
    offset, size, count = header[5], header[9], header[10]
    return [SEGMENT.unpack_from(data, offset + i * size) for i in range(count)]


def _file_offset(segments: list[tuple[int, ...]], address: int) -> int:
    for kind, _, offset, vaddr, _, filesz, _, _ in segments:
        if kind == PT_LOAD and vaddr <= address < vaddr + filesz:
            return offset + address - vaddr
    raise ValueError("address outside of the file")


def needed(path: Path) -> list[str]:
    """In the order of the file; none for what is not such an ELF file or is static."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    segments = _segments(data)
    dynamic = next((s for s in segments if s[0] == PT_DYNAMIC), None)
    if not dynamic:
        return []
    entries = []
    for tag, value in ENTRY.iter_unpack(data[dynamic[2] : dynamic[2] + dynamic[5]]):
        if tag == DT_NULL:
            break
        entries.append((tag, value))
    strings = _file_offset(segments, dict(entries)[DT_STRTAB])
    starts = [strings + value for tag, value in entries if tag == DT_NEEDED]
    return [data[start : data.index(b"\0", start)].decode() for start in starts]

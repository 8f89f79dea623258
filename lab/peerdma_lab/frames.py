# SPDX-License-Identifier: MIT
"""What travels between the launcher and the agent of a guest; lab/guest/frame.h is the other
side.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

PROTOCOL = 1
HEADER = struct.Struct("<IHH")
EXEC = struct.Struct("<IHHII")
U32 = struct.Struct("<I")
END = struct.Struct("<II")
WINSIZE = struct.Struct("<HH")
# Longest payload towards the guest, and a bound on what a guest may claim.
PAYLOAD_MAX = 256 * 1024
STDIN_WINDOW = 64 * 1024
STDIN_CHUNK = 16 * 1024

EXEC_PTY = 1 << 0
EXEC_KILL_GROUP = 1 << 1


class Type(IntEnum):
    EXEC = 1
    STDIN = 2
    SIGNAL = 3
    WINSIZE = 4
    SYNC = 5
    POWEROFF = 6
    HELLO = 16
    STDOUT = 17
    STDERR = 18
    EXIT = 19
    KLOG = 20
    SYNCED = 21
    STDIN_TAKEN = 22
    FATAL = 23


class End(IntEnum):
    EXITED = 0
    SIGNALLED = 1
    NOT_STARTED = 2


class ProtocolError(Exception):
    pass


@dataclass(frozen=True)
class Frame:
    type: int
    job: int
    payload: bytes

    def encode(self) -> bytes:
        if len(self.payload) > PAYLOAD_MAX:
            raise ProtocolError(
                f"a payload of {len(self.payload)} bytes is longer than {PAYLOAD_MAX}"
            )
        return HEADER.pack(len(self.payload), self.type, self.job) + self.payload

    def u32(self) -> int:
        if len(self.payload) < U32.size:
            raise ProtocolError("the frame is too short")
        return U32.unpack_from(self.payload)[0]


def decode_header(data: bytes) -> tuple[int, int, int]:
    """Length of the payload, type, job."""
    length, kind, job = HEADER.unpack(data)
    if length > PAYLOAD_MAX:
        raise ProtocolError(f"the guest announces a payload of {length} bytes")
    return length, kind, job


@dataclass(frozen=True)
class Hello:
    protocol: int
    release: str


def decode_hello(frame: Frame) -> Hello:
    return Hello(frame.u32(), frame.payload[U32.size :].decode(errors="replace"))


def encode_exec(
    argv: list[str],
    env: dict[str, str],
    cwd: str = "",
    flags: int = 0,
    rows: int = 0,
    cols: int = 0,
) -> bytes:
    strings = [cwd, *argv, *(f"{k}={v}" for k, v in env.items())]
    if not argv:
        raise ProtocolError("there is no command")
    if any("\0" in s for s in strings):
        raise ProtocolError("a string of the command contains a NUL")
    head = EXEC.pack(flags, rows, cols, len(argv), len(env))
    return head + b"".join(s.encode(errors="surrogateescape") + b"\0" for s in strings)


def decode_end(frame: Frame) -> tuple[End, int]:
    if len(frame.payload) != END.size:
        raise ProtocolError("the end of a command has the wrong length")
    how, value = END.unpack(frame.payload)
    try:
        return End(how), value
    except ValueError:
        raise ProtocolError(f"unknown end {how} of a command") from None

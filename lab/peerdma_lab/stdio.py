# SPDX-License-Identifier: MIT
"""The launcher's own input and output, which may block without blocking the lab."""

import asyncio
import fcntl
import os
import signal
import struct
import sys
import termios
import tty
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

READ_SIZE = 16384


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Output:
    """One of the launcher's output streams. A reader that went away is ignored: the command shall
    still end.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._thread = ThreadPoolExecutor(1)
        self._broken = False

    async def write(self, data: bytes) -> None:
        if self._broken:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, _write_all, self._fd, data
            )
        except OSError:
            self._broken = True


class Prefixed:
    """Whole lines, each with the name of its node."""

    def __init__(self, output: Output, name: str) -> None:
        self._output = output
        self._prefix = f"{name}: ".encode()
        self._rest = b""

    async def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            await self._output.write(b"".join(self._prefix + line + b"\n" for line in lines))

    async def finish(self) -> None:
        if self._rest:
            await self.write(b"\n")


async def read_input() -> bytes:
    """What can be read from standard input now; nothing at its end."""
    thread = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, os.read, 0, READ_SIZE)
    except OSError:
        return b""
    finally:
        thread.shutdown(wait=False)


def window_size() -> tuple[int, int]:
    try:
        rows, cols, _, _ = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return 24, 80
    return rows or 24, cols or 80


class RawTerminal:
    """Every key goes to the guest, Ctrl-C too."""

    def __init__(self, on_resize: Callable[[], None]) -> None:
        self._on_resize = on_resize
        self._saved: list | None = None

    def __enter__(self) -> "RawTerminal":
        if sys.stdin.isatty():
            self._saved = termios.tcgetattr(0)
            tty.setraw(0)
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._on_resize)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)

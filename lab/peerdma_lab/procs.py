# SPDX-License-Identifier: MIT
"""Child processes that cannot outlive the launcher, and a run directory that cannot either."""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
STOP_GRACE = 2.0

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int, sig: int = signal.SIGKILL) -> None:
    """In a child, before exec: the kernel kills it when the launcher ends in whatever way."""
    _libc.prctl(PR_SET_PDEATHSIG, sig)
    if os.getppid() != parent:
        os._exit(1)


class Process:
    """A child in a session of its own, so that Ctrl-C on the terminal reaches the launcher
    alone.
    """

    def __init__(
        self, name: str, args: list[str], output: IO[bytes], fds: Iterable[int] = ()
    ) -> None:
        parent = os.getpid()
        self.name = name
        self._popen = subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=tuple(fds),
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),
        )
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(self._popen.pid)
        loop.add_reader(self._pidfd, self._on_end)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._popen.wait()
        if not self.ended.done():
            self.ended.set_result(status)

    def signal(self, sig: int) -> None:
        if not self.ended.done():
            self._popen.send_signal(sig)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Asks, waits, insists."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self.ended.done():
                return
            self.signal(sig)
            await asyncio.wait([self.ended], timeout=grace)


def describe_status(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


class Janitor:
    """A process that removes a directory once the launcher is gone, be it by SIGKILL.

    Must be created before there are threads and before any child.
    """

    def __init__(self, directory: Path) -> None:
        reader, self._writer = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(reader)
            return
        try:
            os.close(self._writer)
            self._serve(reader, directory)
        finally:
            os._exit(0)

    @staticmethod
    def _serve(reader: int, directory: Path) -> None:
        os.setsid()
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(sig, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(3, reader)
        os.closerange(reader + 1, max(64, null + 1))
        while os.read(reader, 1):
            pass
        # A process on its way out may still create a file.
        while directory.exists():
            shutil.rmtree(directory, ignore_errors=True)

    def finish(self) -> None:
        """Removes the directory now."""
        os.close(self._writer)
        os.waitpid(self._pid, 0)

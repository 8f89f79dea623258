# SPDX-License-Identifier: MIT
"""One guest: its QEMU, its agent, its kernel log."""

import asyncio
import socket
from pathlib import Path
from typing import TextIO

from . import hosttree, klog, qemu
from .agent import Agent
from .errors import LabError
from .procs import Process, describe_status
from .qemu import Machine

BOOT_SECONDS = 120.0
TAIL_LINES = 15
# Of the features of the CPU model; nothing in the lab needs them.
NOISE = "TCG doesn't support requested feature"


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    kept = [one for one in text.replace("\r", "").splitlines() if NOISE not in one]
    return "\n".join(kept[-lines:]).rstrip()


def died(what: str, said: str) -> LabError:
    """The end of a process that should have gone on."""
    last = f"; its last words:\n{said}" if said else ""
    return LabError(f"{what} while the lab was running{last}")


class Node:
    """`ended` has an exception when the guest ended other than by power_off()."""

    def __init__(self, name: str, run_dir: Path, watch: klog.Watch) -> None:
        self.name = name
        self.watch = watch
        self.console = run_dir / f"{name}.console.log"
        self._qemu_log = run_dir / f"{name}.qemu.log"
        self._kernel_log: TextIO = open(
            run_dir / f"{name}.kernel.log", "w", encoding="utf-8"
        )  # noqa: SIM115
        self.agent = Agent(self._on_klog)
        self.process: Process | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alarmed = asyncio.Event()
        self._leaving = False
        self._console_read = 0
        self._task: asyncio.Task[None] | None = None

    def _on_klog(self, record: klog.Record) -> None:
        self._kernel_log.write(record.line() + "\n")
        if self.watch.feed(record.text):
            self.alarmed.set()

    def scan_console(self) -> None:
        """A kernel that dies says so on the console only."""
        try:
            with open(self.console, "rb") as f:
                f.seek(self._console_read)
                data = f.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        self._console_read += whole
        self.watch.feed_console(data[:whole].decode(errors="replace"))

    def start(
        self, program: list[str], machine: Machine, agent: socket.socket, fds: list[int]
    ) -> None:
        with open(self._qemu_log, "wb") as log:
            self.process = Process(
                f"QEMU of node {self.name}", [*program, *qemu.arguments(machine)], log, fds
            )
        self._task = asyncio.ensure_future(self._serve(agent))
        self.process.ended.add_done_callback(self._on_process_end)

    async def _serve(self, agent: socket.socket) -> None:
        try:
            await self.agent.serve(agent)
        except LabError as error:
            self._fail(error)

    def _fail(self, error: LabError) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def _on_process_end(self, status: "asyncio.Future[int]") -> None:
        self.scan_console()
        if self._leaving:
            if not self.ended.done():
                self.ended.set_result(None)
            return
        if self.watch.fatal:
            self._fail(LabError(f"the kernel of node {self.name} died"))
            return
        said = tail(self._qemu_log) or tail(self.console)
        what = f"QEMU of node {self.name} {describe_status(status.result())}"
        if status.result() == 0:
            what = f"node {self.name} powered off by itself"
        self._fail(died(what, said))

    async def hello(self) -> None:
        """Waits for the agent. The caller watches `ended` meanwhile."""
        try:
            await asyncio.wait_for(asyncio.shield(self.agent.hello), BOOT_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            raise LabError(
                f"node {self.name} did not come up within {BOOT_SECONDS:.0f} s; "
                f"last of its console:\n{tail(self.console)}"
            ) from None

    async def stop(self) -> None:
        self._leaving = True
        if self.process:
            if self.agent.hello.done() and not self.process.ended.done():
                await self.agent.power_off()
                await asyncio.wait([self.process.ended], timeout=2.0)
            await self.process.stop()
        if self._task:
            await asyncio.wait([self._task], timeout=1.0)
            self._task.cancel()
        self.scan_console()
        self._kernel_log.close()
        if self.ended.done():
            self.ended.exception()


def program_of(tree: Path) -> list[str]:
    return hosttree.command(tree, hosttree.QEMU, *hosttree.data_args(tree))

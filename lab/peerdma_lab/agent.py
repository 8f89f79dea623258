# SPDX-License-Identifier: MIT
"""Talks to the agent in a guest: starts commands, carries their input and output, learns their
status.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from . import frames, klog
from .errors import EXIT_LAB, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_SIGNAL, LabError
from .frames import End, Frame, Type

ENOENT = 2
Sink = Callable[[bytes], Awaitable[None]]
# Terminals deliver single keys; a frame a key is fine, hence no batching anywhere here.


@dataclass(frozen=True)
class Ended:
    how: End
    value: int

    def status(self) -> int:
        """As a shell would tell it."""
        if self.how == End.EXITED:
            return self.value
        if self.how == End.SIGNALLED:
            return EXIT_SIGNAL + self.value
        return EXIT_NOT_FOUND if self.value == ENOENT else EXIT_NOT_EXECUTABLE


async def discard(_: bytes) -> None:
    pass


class Job:
    """A command in a guest. Await `ended` for its end."""

    def __init__(self, agent: "Agent", number: int, stdout: Sink, stderr: Sink) -> None:
        self._agent = agent
        self.number = number
        self.stdout = stdout
        self.stderr = stderr
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._credit = frames.STDIN_WINDOW
        self._more_credit = asyncio.Event()

    def grant(self, count: int) -> None:
        self._credit += count
        self._more_credit.set()

    async def write(self, data: bytes) -> None:
        """Waits while the command does not read."""
        while data and not self.ended.done():
            if not self._credit:
                self._more_credit.clear()
                waiter = asyncio.ensure_future(self._more_credit.wait())
                await asyncio.wait([waiter, self.ended], return_when=asyncio.FIRST_COMPLETED)
                waiter.cancel()
                continue
            part = data[: min(self._credit, frames.STDIN_CHUNK)]
            data = data[len(part) :]
            self._credit -= len(part)
            await self._agent.send(Type.STDIN, self.number, part)

    async def end_input(self) -> None:
        await self._agent.send(Type.STDIN, self.number, b"")

    async def signal(self, number: int) -> None:
        await self._agent.send(Type.SIGNAL, self.number, frames.U32.pack(number))

    async def resize(self, rows: int, cols: int) -> None:
        await self._agent.send(Type.WINSIZE, self.number, frames.WINSIZE.pack(rows, cols))


class Agent:
    def __init__(self, on_klog: Callable[[klog.Record], None]) -> None:
        loop = asyncio.get_running_loop()
        self.hello: asyncio.Future[frames.Hello] = loop.create_future()
        self._on_klog = on_klog
        self._jobs: dict[int, Job] = {}
        self._syncs: dict[int, asyncio.Future[None]] = {}
        self._next = 1
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, sock: socket.socket) -> None:
        """Runs until the guest closes; raises LabError when the guest gives up or talks
        nonsense.
        """
        reader, self._writer = await asyncio.open_connection(sock=sock)
        try:
            while True:
                length, kind, job = frames.decode_header(
                    await reader.readexactly(frames.HEADER.size)
                )
                await self._handle(Frame(kind, job, await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except frames.ProtocolError as error:
            raise LabError(f"the agent in the guest is out of step: {error}") from None

    async def _handle(self, frame: Frame) -> None:
        if frame.type == Type.KLOG:
            self._on_klog(klog.parse_record(frame.payload))
        elif frame.type == Type.HELLO:
            self._greet(frames.decode_hello(frame))
        elif frame.type == Type.FATAL:
            raise LabError(f"the guest did not come up: {frame.payload.decode(errors='replace')}")
        elif frame.type == Type.SYNCED:
            waiter = self._syncs.pop(frame.u32(), None)
            if waiter and not waiter.done():
                waiter.set_result(None)
        else:
            await self._handle_job(frame)

    def _greet(self, hello: frames.Hello) -> None:
        if hello.protocol != frames.PROTOCOL:
            raise LabError(
                f"the guest speaks protocol {hello.protocol}, the launcher {frames.PROTOCOL}",
                "build again",
            )
        if not self.hello.done():
            self.hello.set_result(hello)

    async def _handle_job(self, frame: Frame) -> None:
        job = self._jobs.get(frame.job)
        if not job:
            return
        if frame.type == Type.STDOUT:
            await job.stdout(frame.payload)
        elif frame.type == Type.STDERR:
            await job.stderr(frame.payload)
        elif frame.type == Type.STDIN_TAKEN:
            job.grant(frame.u32())
        elif frame.type == Type.EXIT:
            del self._jobs[frame.job]
            if not job.ended.done():
                job.ended.set_result(Ended(*frames.decode_end(frame)))

    async def send(self, kind: Type, job: int, payload: bytes = b"") -> None:
        if not self._writer:
            raise LabError("the guest is not connected")
        try:
            self._writer.write(Frame(kind, job, payload).encode())
            await self._writer.drain()
        except ConnectionError:
            # The end of the guest is noticed and told by whoever watches its process.
            pass
        except frames.ProtocolError as error:
            raise LabError(str(error), status=EXIT_LAB) from None

    async def start(
        self,
        argv: list[str],
        *,
        env: dict[str, str] | None = None,
        cwd: str = "",
        stdout: Sink = discard,
        stderr: Sink = discard,
        flags: int = 0,
        size: tuple[int, int] = (0, 0),
    ) -> Job:
        number = self._next
        # Sixteen bits, and a number is in use only while its command runs.
        self._next = self._next % 0xFFFF + 1
        job = Job(self, number, stdout, stderr)
        self._jobs[number] = job
        try:
            payload = frames.encode_exec(argv, env or {}, cwd, flags, *size)
        except frames.ProtocolError as error:
            raise LabError(str(error)) from None
        await self.send(Type.EXEC, number, payload)
        return job

    async def output(self, argv: list[str], *, env: dict[str, str] | None = None) -> tuple[
        int, bytes, bytes
    ]:
        """Runs a short command. Return: status, stdout, stderr."""
        out, err = bytearray(), bytearray()

        async def take_out(data: bytes) -> None:
            out.extend(data)

        async def take_err(data: bytes) -> None:
            err.extend(data)

        job = await self.start(argv, env=env, stdout=take_out, stderr=take_err)
        await job.end_input()
        ended = await job.ended
        return ended.status(), bytes(out), bytes(err)

    async def sync(self) -> None:
        """Afterwards everything the kernel has logged by now has arrived."""
        cookie = self._next
        self._next = self._next % 0xFFFF + 1
        waiter = asyncio.get_running_loop().create_future()
        self._syncs[cookie] = waiter
        await self.send(Type.SYNC, 0, frames.U32.pack(cookie))
        await waiter

    async def power_off(self) -> None:
        await self.send(Type.POWEROFF, 0)

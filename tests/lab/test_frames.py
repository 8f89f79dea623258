# SPDX-License-Identifier: MIT
"""Frames between launcher and guest. Numbers are typed anew from docs/lab.md."""

import asyncio
import socket
import struct
import pathlib
import sys
import unittest

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import frames  # noqa: E402
from peerdma_lab.agent import Agent, Ended  # noqa: E402
from peerdma_lab.errors import LabError  # noqa: E402
from peerdma_lab.frames import End, Frame, ProtocolError  # noqa: E402


class Encoding(unittest.TestCase):
    def test_header(self) -> None:
        self.assertEqual(Frame(2, 7, b"abc").encode(), b"\x03\0\0\0\x02\0\x07\0abc")

    def test_exec(self) -> None:
        data = frames.encode_exec(["ls", "-l"], {"A": "b"}, "/tmp", 1, 24, 80)
        expected = struct.pack("<IHHII", 1, 24, 80, 2, 1) + b"/tmp\0ls\0-l\0A=b\0"
        self.assertEqual(data, expected)

    def test_exec_refuses(self) -> None:
        for argv in ([], ["a\0b"]):
            with self.assertRaises(ProtocolError):
                frames.encode_exec(argv, {})

    def test_too_long(self) -> None:
        with self.assertRaises(ProtocolError):
            Frame(2, 1, bytes(256 * 1024 + 1)).encode()
        with self.assertRaises(ProtocolError):
            frames.decode_header(struct.pack("<IHH", 256 * 1024 + 1, 17, 1))

    def test_end(self) -> None:
        end = frames.decode_end(Frame(19, 1, struct.pack("<II", 1, 9)))
        self.assertEqual(end, (End.SIGNALLED, 9))
        for payload in (b"", bytes(7), struct.pack("<II", 3, 0)):
            with self.assertRaises(ProtocolError):
                frames.decode_end(Frame(19, 1, payload))

    def test_status(self) -> None:
        self.assertEqual(Ended(End.EXITED, 7).status(), 7)
        self.assertEqual(Ended(End.SIGNALLED, 9).status(), 137)
        self.assertEqual(Ended(End.NOT_STARTED, 2).status(), 127)
        self.assertEqual(Ended(End.NOT_STARTED, 13).status(), 126)


class Conversation(unittest.IsolatedAsyncioTestCase):
    """The launcher's side against bytes written by hand."""

    async def asyncSetUp(self) -> None:
        self.log: list[str] = []
        self.agent = Agent(lambda record: self.log.append(record.text))
        mine, theirs = socket.socketpair()
        self.task = asyncio.ensure_future(self.agent.serve(mine))
        self.reader, self.writer = await asyncio.open_connection(sock=theirs)

    async def asyncTearDown(self) -> None:
        self.writer.close()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()

    def send(self, kind: int, job: int, payload: bytes) -> None:
        self.writer.write(struct.pack("<IHH", len(payload), kind, job) + payload)

    async def receive(self) -> tuple[int, int, bytes]:
        length, kind, job = struct.unpack("<IHH", await self.reader.readexactly(8))
        return kind, job, await self.reader.readexactly(length)

    async def start(self):
        self.send(16, 0, struct.pack("<I", 1) + b"7.2")
        self.assertEqual((await self.agent.hello).release, "7.2")
        self.out = bytearray()

        async def sink(data: bytes) -> None:
            self.out += data

        job = await self.agent.start(["cat"], stdout=sink)
        kind, number, _ = await self.receive()
        self.assertEqual((kind, number), (1, job.number))
        return job

    async def test_output_and_end(self) -> None:
        job = await self.start()
        self.send(17, job.number, b"one ")
        self.send(17, job.number, b"two")
        self.send(20, 0, b"4,1,2500000,-;WARNING: before the end\n")
        self.send(19, job.number, struct.pack("<II", 0, 3))
        self.assertEqual((await job.ended).status(), 3)
        self.assertEqual((bytes(self.out), self.log), (b"one two", ["WARNING: before the end"]))

    async def test_input_keeps_to_the_window(self) -> None:
        job = await self.start()
        writing = asyncio.ensure_future(job.write(bytes(100_000)))
        got = 0
        while got < 65536:
            kind, _, payload = await self.receive()
            self.assertEqual(kind, 3 if kind == 3 else 2)
            got += len(payload)
        self.assertEqual(got, 65536)
        self.assertFalse(writing.done())
        self.send(22, job.number, struct.pack("<I", 65536))
        while got < 100_000:
            got += len((await self.receive())[2])
        await writing

    async def test_frames_for_nobody_are_ignored(self) -> None:
        job = await self.start()
        self.send(17, job.number + 1, b"stray")
        self.send(99, 0, b"from the future")
        self.send(19, job.number, struct.pack("<II", 0, 0))
        self.assertEqual((await job.ended).status(), 0)

    async def test_other_protocol(self) -> None:
        self.send(16, 0, struct.pack("<I", 2))
        with self.assertRaises(LabError):
            await self.task

    async def test_guest_gives_up(self) -> None:
        self.send(23, 0, b"mount /ro: No such device")
        with self.assertRaisesRegex(LabError, "No such device"):
            await self.task

    async def test_nonsense(self) -> None:
        self.writer.write(b"\xff" * 8)
        with self.assertRaisesRegex(LabError, "out of step"):
            await self.task


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""peerdma-lab test: finds the tests, shares them out to labs, adds up."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import tap
from .errors import EXIT_SIGNAL, LabError
from .guesttests import Group
from .tap import TestResult

# A result is one line of a worker, and holds the tail of a test's output.
LINE_MAX = 16 << 20
WORKER_PREFIX = "result "


@dataclass
class Tally:
    """Prints TAP while results come in."""

    results: list[TestResult] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    number: int = 1

    def add(self, result: TestResult) -> None:
        self.results.append(result)
        new = tap.tap_lines(result, self.number)
        self.number += len(result.cases)
        self.lines += new
        print("\n".join(new), flush=True)

    def finish(self, output: Path | None) -> int:
        """Return: the exit status."""
        plan = f"1..{self.number - 1}"
        print(f"{plan}\n# {tap.summary(self.results)}", flush=True)
        if output:
            output.mkdir(parents=True, exist_ok=True)
            text = "\n".join(["TAP version 13", *self.lines, plan])
            (output / "results.tap").write_text(text + "\n", encoding="utf-8")
            tap.write_junit(self.results, output / "results.xml")
        return 1 if tap.count(self.results, tap.FAIL) or not self.results else 0


def send(result: TestResult) -> None:
    """From a worker to its parent."""
    print(WORKER_PREFIX + json.dumps(result.to_json()), flush=True)


async def _worker(group: Group, args: list[str], tally: Tally) -> None:
    process = await asyncio.create_subprocess_exec(
        *args, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, limit=LINE_MAX
    )
    assert process.stdout
    reported = set()
    try:
        async for line in process.stdout:
            text = line.decode()
            if text.startswith(WORKER_PREFIX):
                result = TestResult.from_json(json.loads(text[len(WORKER_PREFIX) :]))
                reported.add(result.name)
                tally.add(result)
        status = await process.wait()
    except asyncio.CancelledError:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        raise
    for test in group.tests:
        if test.name not in reported:
            result = TestResult(group.name, test.name)
            result.fail(f"the launcher of the group ended with status {status} before the test")
            tally.add(result)


async def _run_all(groups: list[Group], command: Callable[[Group], list[str]], jobs: int,
                   tally: Tally) -> None:  # fmt: skip
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(jobs)
    stopped: asyncio.Future[int] = loop.create_future()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sig, lambda s=sig: stopped.done() or stopped.set_result(s))

    async def one(group: Group) -> None:
        async with room:
            await _worker(group, command(group), tally)

    work = asyncio.gather(*(one(g) for g in groups))
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        work.cancel()
        await asyncio.wait([work])
        name = signal.Signals(stopped.result()).name
        raise LabError(f"interrupted by {name}", status=EXIT_SIGNAL + stopped.result())
    work.result()


def worker_command(group: Group, argv: list[str]) -> list[str]:
    """This program again, with the same options, for one group."""
    return [sys.executable, os.path.abspath(sys.argv[0]), "test", "--worker", group.name, *argv[1:]]


def run_tests(groups: list[Group], argv: list[str], jobs: int, output: Path | None) -> int:
    tally = Tally()
    print("TAP version 13", flush=True)
    try:
        asyncio.run(_run_all(groups, lambda g: worker_command(g, argv), jobs, tally))
    except LabError as error:
        print(f"Bail out! {error}", flush=True)
        tally.finish(output)
        return error.status
    return tally.finish(output)

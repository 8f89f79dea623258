# SPDX-License-Identifier: MIT
"""Runs the tests of a group: one boot for all of them, another after each that failed."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import results, tap
from .errors import LabError
from .frames import EXEC_KILL_GROUP
from .guesttests import Group, GuestTest
from .lab import Lab, Options
from .node import tail
from .tap import FAIL, SKIP, Case, TestResult

OUTPUT_MAX = 4 << 20
NOTE_LINES = 40
# A lab that cannot boot three times in a row will not boot the fourth time.
BOOTS_IN_VAIN = 3
Report = Callable[[TestResult], None]


class Capture:
    """The output of a test in one node; its beginning, when there is too much of it."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()

    async def take_out(self, data: bytes) -> None:
        self.out += data[: OUTPUT_MAX - len(self.out)]

    async def take_err(self, data: bytes) -> None:
        self.err += data[: OUTPUT_MAX - len(self.err)]


def last_lines(data: bytes) -> str:
    return "\n".join(data.decode(errors="replace").splitlines()[-NOTE_LINES:])


async def _run_on(lab: Lab, test: GuestTest, name: str, capture: Capture) -> int:
    agent = lab.nodes[name].agent
    job = await agent.start(
        list(test.command),
        env=lab.environment(),
        cwd="/tmp",
        stdout=capture.take_out,
        stderr=capture.take_err,
        flags=EXEC_KILL_GROUP,
    )
    await job.end_input()
    return (await job.ended).status()


async def _load_modules(lab: Lab, test: GuestTest) -> None:
    if test.modules:
        for node in lab.nodes.values():
            await lab.must(node, ["modprobe", "-a", "--", *test.modules])


async def _run_everywhere(lab: Lab, test: GuestTest, captures: dict[str, Capture]) -> list[int]:
    await _load_modules(lab, test)
    return await asyncio.gather(*(_run_on(lab, test, n, c) for n, c in captures.items()))


def _judge(test: GuestTest, result: TestResult, name: str, output: str, status: int) -> None:
    for case in tap.judge(test.name, output, status):
        title = case.name if test.on != "all" else f"{name}: {case.name}"
        if case.verdict == SKIP and test.required:
            case = Case(case.name, FAIL, f"a required test skipped: {case.reason}")
        result.cases.append(replace(case, name=title))


def _check_alarms(lab: Lab, test: GuestTest, result: TestResult) -> None:
    allowed = [re.compile(p) for p in test.allow_kernel]
    for text in lab.alarms():
        if not any(p.search(text) for p in allowed):
            result.fail(f"kernel warning: {text}")


async def _attempt(lab: Lab, test: GuestTest, result: TestResult) -> None:
    names = list(lab.nodes) if test.on == "all" else [test.on]
    captures = {name: Capture() for name in names}
    try:
        running = asyncio.wait_for(_run_everywhere(lab, test, captures), test.timeout)
        statuses = await lab.guard(running)
        for (name, capture), status in zip(captures.items(), statuses, strict=True):
            _judge(test, result, name, capture.out.decode(errors="replace"), status)
        await lab.settle()
    except (TimeoutError, asyncio.TimeoutError):
        result.fail(f"the time limit of {test.timeout} s is over")
    except LabError as error:
        result.fail(error.text())
    for name, capture in captures.items():
        for stream, data in (("stdout", capture.out), ("stderr", capture.err)):
            if data:
                result.notes.append(f"{name} {stream}:\n{last_lines(data)}")
    _check_alarms(lab, test, result)
    if result.failed:
        result.notes += [f"fabric.log:\n{tail(lab.run_dir / 'fabric.log')}"] * bool(lab.fabric)


async def _session(lab: Lab, todo: list[GuestTest], group: Group, report: Report) -> None:
    """Runs tests from the head of @todo until one fails."""
    async with lab:
        lab.check_boot_alarms()
        while todo:
            test = todo.pop(0)
            result = TestResult(group.name, test.name)
            start = time.monotonic()
            await _attempt(lab, test, result)
            result.seconds = time.monotonic() - start
            interrupted = lab.interrupted()
            if interrupted:
                raise interrupted
            report(result)
            if result.failed:
                return
        await lab.guard(results.save_counters(lab))


def _run_session(options: Options, todo: list[GuestTest], group: Group, report: Report,
                 output: Path | None) -> None:  # fmt: skip
    lab = Lab(options)
    try:
        asyncio.run(_session(lab, todo, group, report))
    finally:
        if output:
            results.save_files(lab, output / group.name)
        lab.close()


def _give_up(todo: list[GuestTest], group: Group, report: Report, why: LabError) -> None:
    for test in todo:
        result = TestResult(group.name, test.name)
        result.fail(f"the lab does not come up: {why.text()}")
        report(result)


def run_group(options: Options, group: Group, report: Report, output: Path | None) -> None:
    """Reports every test of the group once. Raises LabError only when the user interrupts."""
    todo = list(group.tests)
    in_vain = 0
    while todo:
        left = len(todo)
        try:
            _run_session(options, todo, group, report, output)
        except LabError as error:
            if error.interrupted:
                raise
            in_vain = in_vain + 1 if len(todo) == left else 0
            if in_vain == BOOTS_IN_VAIN:
                _give_up(todo, group, report, error)
                return

# SPDX-License-Identifier: MIT
"""Boots a lab, runs one command in it, and tells how it went."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from . import results, stdio
from .agent import Ended
from .errors import EXIT_KERNEL, EXIT_TIMEOUT, LabError
from .frames import EXEC_PTY
from .lab import Lab, Options
from .node import Node

FATAL_GRACE = 10.0
Body = Callable[[Lab], Awaitable[int]]


@dataclass
class Command:
    argv: list[str]
    on: list[str]
    env: dict[str, str]
    cwd: str = ""
    forward_input: bool = True


def say(text: str) -> None:
    print(f"peerdma-lab: {text}", file=sys.stderr, flush=True)


async def _feed(jobs: list, forward: bool) -> None:
    """Passes standard input on to every job."""
    while forward:
        data = await stdio.read_input()
        if not data:
            break
        for job in jobs:
            await job.write(data)
    for job in jobs:
        await job.end_input()


async def _start(
    lab: Lab, node: Node, command: Command, out: stdio.Output, err: stdio.Output
) -> tuple:
    streams = [stdio.Prefixed(s, node.name) if len(command.on) > 1 else s for s in (out, err)]
    env = {**lab.environment(), **command.env}
    job = await node.agent.start(
        command.argv, env=env, cwd=command.cwd, stdout=streams[0].write, stderr=streams[1].write
    )
    return job, streams


async def _explain(lab: Lab, command: Command, name: str, ended: Ended) -> None:
    if ended.how == ended.how.NOT_STARTED:
        say(f"cannot start '{command.argv[0]}' in node {name}: {os.strerror(ended.value)}")


async def run_command(lab: Lab, command: Command) -> int:
    """The status of the command, or of the first that failed when it runs in several nodes."""
    out, err = stdio.Output(1), stdio.Output(2)
    started = [await _start(lab, lab.nodes[name], command, out, err) for name in command.on]
    jobs = [job for job, _ in started]
    feeder = asyncio.ensure_future(_feed(jobs, command.forward_input))
    try:
        ends = await asyncio.gather(*(job.ended for job in jobs))
    finally:
        feeder.cancel()
    for _, streams in started:
        for stream in streams:
            if isinstance(stream, stdio.Prefixed):
                await stream.finish()
    for name, ended in zip(command.on, ends, strict=True):
        await _explain(lab, command, name, ended)
    return next((e.status() for e in ends if e.status()), 0)


async def run_shell(lab: Lab, node: Node, argv: list[str], env: dict[str, str]) -> int:
    out = stdio.Output(1)
    flags = EXEC_PTY if sys.stdin.isatty() else 0
    env = {**lab.environment(), "TERM": "xterm-256color", **env}
    job = await node.agent.start(
        argv,
        env=env,
        cwd="/root",
        flags=flags,
        size=stdio.window_size(),
        stdout=out.write,
        stderr=stdio.Output(2).write,
    )
    pending: set[asyncio.Task] = set()

    def resized() -> None:
        task = asyncio.ensure_future(job.resize(*stdio.window_size()))
        pending.add(task)
        task.add_done_callback(pending.discard)

    with stdio.RawTerminal(resized):
        feeder = asyncio.ensure_future(_feed([job], True))
        try:
            return (await job.ended).status()
        finally:
            feeder.cancel()


async def _body(lab: Lab, body: Body, output: Path | None) -> int:
    watcher = asyncio.ensure_future(lab.wait_alarm_fatal(FATAL_GRACE))
    watcher.add_done_callback(
        lambda t: t.cancelled() or lab.fail(t.exception() or LabError("kernel died"))
    )
    try:
        status = await lab.guard(body(lab))
        await lab.settle()
        await lab.guard(results.save_counters(lab))
        if output:
            await lab.guard(results.save_artefacts(lab, output))
        return status
    finally:
        watcher.cancel()


def report_alarms(lab: Lab) -> bool:
    alarms = lab.alarms()
    for text in alarms:
        say(f"kernel warning: {text}")
    return bool(alarms)


def _over(seconds: float) -> LabError:
    text = f"the time limit of {seconds:g} s is over"
    return LabError(text, "--timeout sets another", EXIT_TIMEOUT)


async def _live(lab: Lab, body: Body, timeout: float | None, output: Path | None) -> int:
    loop = asyncio.get_running_loop()
    timer = loop.call_later(timeout, lab.fail, _over(timeout)) if timeout else None
    async with lab:
        try:
            return await _body(lab, body, output)
        finally:
            if timer:
                timer.cancel()


def run_lab(
    options: Options, body: Body, cache: Path, timeout: float | None, output: Path | None
) -> int:
    """Return: the exit status of the launcher."""
    lab = Lab(options)
    status, failed, interrupted = 0, False, False
    try:
        try:
            status = asyncio.run(_live(lab, body, timeout, output))
        except LabError as error:
            say(error.text())
            status, failed = error.status, True
            interrupted = error.interrupted
        if report_alarms(lab):
            if not failed and status:
                say(f"the command itself ended with status {status}")
            status, failed = (status if interrupted else EXIT_KERNEL), True
        if output:
            results.save_files(lab, output)
        elif failed and not interrupted:
            say(f"logs are in {results.keep_failure(lab, cache)}")
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            lab.close()
    return status

# SPDX-License-Identifier: MIT
"""Run a suite through cases.py so that neither a case that hangs nor one that kills its process
keeps the others from running.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CASES = Path(__file__).with_name("cases.py")


@dataclass
class Outcome:
    case: str
    verdict: str  # pass, skip, fail
    why: str = ""
    seconds: float = 0.0


class Lines:
    """Lines of a pipe, with a deadline for each."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.rest = b""

    def next(self, end: float) -> dict[str, Any] | None:
        """Return: the next line, or None when there is no more. TimeoutError after end."""
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(self.fd, 65536)
            if not chunk:
                return None
            self.rest += chunk
        line, self.rest = self.rest.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer


def _end(proc: "subprocess.Popen[bytes]") -> int:
    """End the process and what it started. Return: its status."""
    try:
        os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return proc.wait()


class Suite:
    """tell hears of each case when it is over; limit is how long a case may take."""

    def __init__(self, folder: Path, options: list[str], log: IO[bytes], limit: float,
                 tell: Callable[[Outcome], None]) -> None:
        self.folder, self.options, self.log, self.limit = folder, options, log, limit
        self.tell = tell
        self.done: list[Outcome] = []

    def _start(self, leave_out: list[str]) -> tuple["subprocess.Popen[bytes]", int]:
        out, report = os.pipe()
        # The stack of a case that hangs goes to the log shortly before its time is over.
        argv = [sys.executable, str(CASES), str(self.folder), str(report),
                str(max(1.0, self.limit - 2)), *self.options]  # fmt: skip
        proc = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
            pass_fds=(report,), start_new_session=True,
        )  # fmt: skip
        os.close(report)
        assert proc.stdin
        with proc.stdin as names:
            names.write("\n".join(leave_out).encode())
        return proc, out

    def _one(self, lines: Lines, name: str, proc: "subprocess.Popen[bytes]") -> Outcome:
        began = time.monotonic()
        try:
            said = lines.next(began + self.limit)
        except TimeoutError:
            _end(proc)
            return Outcome(name, "fail", f"hangs: killed after {self.limit:g} s", self.limit)
        seconds = time.monotonic() - began
        if said is None:
            return Outcome(name, "fail", f"the process died: status {_end(proc)}", seconds)
        return Outcome(name, said["verdict"], said["why"], seconds)

    def _some(self, leave_out: list[str]) -> bool:
        """Run until all are done or the process is gone. Return: whether all are."""
        proc, out = self._start(leave_out)
        lines = Lines(out)
        try:
            # Loading the suite takes its time.
            while said := lines.next(time.monotonic() + self.limit):
                if "end" in said:
                    return True
                self.done.append(self._one(lines, said["case"], proc))
                self.tell(self.done[-1])
            return False
        except TimeoutError:
            return False
        finally:
            _end(proc)
            os.close(out)

    def run(self, leave_out: list[str]) -> list[Outcome]:
        """All cases but some. RuntimeError when the suite cannot be loaded."""
        while not self._some(leave_out + [o.case for o in self.done]):
            last = self.done[-1] if self.done else None
            if not last or last.verdict != "fail" or not last.why.startswith(("hangs", "the proc")):
                raise RuntimeError("the suite does not load, or ends before its end")
        return self.done

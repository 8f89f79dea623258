# SPDX-License-Identifier: MIT
"""Tells a person what a long step is doing: one moving line on a terminal, now and then a line
elsewhere.
"""

import re
import sys
import time

LINE_INTERVAL = 10.0
REDRAW_INTERVAL = 0.2


class Progress:
    def __init__(self, title: str, stream=None) -> None:
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._title = title
        self._start = time.monotonic()
        self._last = self._start
        self._drawn = False

    def _seconds(self) -> int:
        return int(time.monotonic() - self._start)

    def update(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last < (REDRAW_INTERVAL if self._tty else LINE_INTERVAL):
            return
        self._last = now
        if self._tty:
            self._stream.write(f"\r\033[K{self._title}: {text} ({self._seconds()} s)")
            self._drawn = True
        else:
            self._stream.write(f"{self._title}: {text} ({self._seconds()} s)\n")
        self._stream.flush()

    def line(self, text: str) -> None:
        clear = "\r\033[K" if self._drawn else ""
        self._stream.write(f"{clear}{self._title}: {text} ({self._seconds()} s)\n")
        self._stream.flush()
        self._drawn = False
        self._last = time.monotonic()


class PackageCounter:
    """Reads the output of apt and dpkg and knows how far they are."""

    STEPS = (("Get:", "fetched"), ("Unpacking ", "unpacked"), ("Setting up ", "set up"))

    def __init__(self) -> None:
        self.total = 0
        self.counts = {word: 0 for _, word in self.STEPS}
        self._word = "fetched"

    def feed(self, line: str) -> None:
        if match := re.search(r"(\d+) newly installed", line):
            self.total += int(match.group(1))
        # Before the first count apt fetches its lists, not packages.
        for start, word in self.STEPS if self.total else ():
            if line.startswith(start):
                self.counts[word] += 1
                self._word = word

    def text(self) -> str:
        if not self.total:
            return "reading the package lists"
        share = min(99, 100 * sum(self.counts.values()) // (len(self.STEPS) * self.total))
        return f"{share} %, {self.counts[self._word]} packages of {self.total} {self._word}"

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run cases of rdma-core's own test suite, one after the other, in this process.

    cases.py SUITE-FOLDER REPORT-FD SECONDS [ARGUMENT OF run_tests.py]...

Loads the suite as its run_tests.py does. Names of cases not to run come on standard input, one a
line. For each case two lines of JSON go to REPORT-FD: its name, then its verdict; after the last
one that says so, since what a case left running may keep REPORT-FD open. A case that takes SECONDS
gets its stack printed; ending it is up to whoever started this program.
"""

import faulthandler
import importlib
import importlib.util
import json
import os
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def load(folder: Path) -> ModuleType:
    """The suite as a module, which takes its options from sys.argv."""
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("tests", folder / "__init__.py")
    assert spec and spec.loader
    suite = importlib.util.module_from_spec(spec)
    sys.modules["tests"] = suite
    spec.loader.exec_module(suite)
    importlib.import_module("args_parser").parser.parse_args()
    return suite


def cases(suite: "unittest.TestSuite | unittest.TestCase") -> Iterator[unittest.TestCase]:
    if isinstance(suite, unittest.TestCase):
        yield suite
        return
    for part in suite:
        yield from cases(part)


class Verdict(unittest.TestResult):
    """What became of one case: pass unless something else is heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.why = "pass", ""

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        if self.word == "pass":
            self.word, self.why = "skip", reason

    def bad(self, err: tuple) -> None:
        self.word = "fail"
        self.why = "".join(traceback.format_exception(*err))

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addFailure(test, err)
        self.bad(err)

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        super().addError(test, err)
        self.bad(err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase,
                   err: tuple | None) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.bad(err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.word, self.why = "fail", "expected to fail, and did not"


def main() -> int:
    folder, fd, limit = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    sys.argv[1:] = sys.argv[4:]
    leave_out = set(sys.stdin.read().split())
    # Processes a case starts by exec need not keep the report open.
    os.set_inheritable(fd, False)
    with os.fdopen(fd, "w", buffering=1, encoding="utf-8") as report:
        every = unittest.defaultTestLoader.loadTestsFromModule(load(folder))
        for case in cases(every):
            if case.id() in leave_out:
                continue
            print(json.dumps({"case": case.id()}), file=report, flush=True)
            print(f"=== {case.id()}", file=sys.stderr, flush=True)
            verdict = Verdict()
            faulthandler.dump_traceback_later(limit)
            case.run(verdict)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"verdict": verdict.word, "why": verdict.why}), file=report,
                  flush=True)
        print(json.dumps({"end": True}), file=report, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

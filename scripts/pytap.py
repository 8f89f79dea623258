#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the unittest files test_*.py of a folder and print TAP: pytap.py FOLDER [NAME-PART]"""

import sys
import time
import traceback
import unittest


class TapResult(unittest.TestResult):
    """One line a test, written as soon as it ends; reports of failures follow as comments."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.started = 0.0
        self.subtest_failed = False

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.started = time.monotonic()
        self.subtest_failed = False

    def report(self, verdict: str, test: object, directive: str = "") -> None:
        self.number += 1
        name = test.id() if isinstance(test, unittest.TestCase) else str(test)
        print(f"{verdict} {self.number} - {name.replace('#', '')}{directive}", flush=True)

    def report_failure(self, test: object, error: tuple) -> None:
        self.report("not ok", test)
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print(f"# {line}")
        sys.stdout.flush()

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        if not self.subtest_failed:
            self.report("ok", test)
            print(f"# {time.monotonic() - self.started:.2f} s")

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addFailure(test, err)
        self.report_failure(test, err)

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        super().addError(test, err)
        self.report_failure(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase,
                   err: tuple | None) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.subtest_failed = True
            self.report_failure(subtest, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.report("ok", test, f" # SKIP {reason}")

    def addExpectedFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addExpectedFailure(test, err)
        self.report("not ok", test, " # TODO")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.report("not ok", f"{test.id()} (expected to fail, and did not)")


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    loader = unittest.TestLoader()
    if len(sys.argv) == 3:
        loader.testNamePatterns = [f"*{sys.argv[2]}*"]
    result = TapResult()
    loader.discover(sys.argv[1], top_level_dir=sys.argv[1]).run(result)
    print(f"1..{result.number}")
    return 0 if result.wasSuccessful() and result.number else 1


if __name__ == "__main__":
    sys.exit(main())

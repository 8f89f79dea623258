# SPDX-License-Identifier: MIT
"""Tests in Python that say TAP."""

import time
from collections.abc import Callable

Tests = dict[str, Callable[[], None]]


def tap(tests: Tests) -> int:
    """Run all. Return: the exit status."""
    print(f"1..{len(tests)}", flush=True)
    failed = False
    for number, (name, test) in enumerate(tests.items(), start=1):
        start = time.monotonic()
        try:
            test()
            verdict = "ok"
        except Exception as error:  # those of pyverbs, too
            failed = True
            verdict = "not ok"
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}")
        print(f"# {name}: {time.monotonic() - start:.1f} s")
        print(f"{verdict} {number} - {name}", flush=True)
    return int(failed)

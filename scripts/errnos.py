#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every errno that a header of include/uapi documents has a test, by a table.

In a header, a comment that precedes a structure (or the include guard) has a line for each errno:
its name first, then of what. "errno of WHAT:" begins another list. The table,
tests/guest/errnos.txt, has a line for each of them: header, structure or WHAT, errno, and the tests
as FILE:FUNCTION. Prints what is missing, on either side.
"""

import re
import sys
from pathlib import Path

HEADERS = Path("include/uapi/peerdma")
TESTS = Path("tests/guest")
TABLE = TESTS / "errnos.txt"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ERRNO = re.compile(r" \* (E[A-Z0-9]{2,})[ \t]")
LIST = re.compile(r" \* errno of (.+):$")
OWNER = re.compile(r"\s*(?:struct (\w+)|#ifndef)")
# What tests share may have the check of the errno.
SHARED = ("kernel_rig.c", "kernel_shown.c", "kernel_test.c", "peerdma_dev.py")

Key = tuple[str, str, str]


def documented(header: Path) -> list[Key]:
    """Header, what it is of, errno: in their order."""
    text = header.read_text(encoding="utf-8")
    found: list[Key] = []
    for comment in COMMENT.finditer(text):
        owner = OWNER.match(text, comment.end())
        what = (owner and owner[1]) or "all"
        for line in comment[0].splitlines():
            other, name = LIST.match(line), ERRNO.match(line)
            what = other[1] if other else what
            if name:
                found.append((header.name, what, name[1]))
    return list(dict.fromkeys(found))


def read_table() -> tuple[dict[Key, list[str]], list[str]]:
    table: dict[Key, list[str]] = {}
    wrong = []
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        header, what, name, *tests = line.split()
        if not tests or (header, what, name) in table:
            wrong.append(f"{TABLE}:{number}: no test, or the line is there twice")
        table[header, what, name] = tests
    return table, wrong


def runs(file: Path, function: str) -> bool:
    """It is defined there, and named where the tests are listed."""
    text = file.read_text(encoding="utf-8")
    define = rf"(^def {function}\(|^static void {function}\(void\))"
    listed = rf"(\"{function}\", {function}\b|^    .*\b{function},|\.append\({function}\))"
    return all(re.search(p, text, re.MULTILINE) for p in (define, listed))


def names(file: Path, name: str) -> bool:
    places = [file, *(TESTS / other for other in SHARED)]
    return any(name in p.read_text(encoding="utf-8") for p in places if p.exists())


def check_test(test: str, name: str) -> str:
    """What is wrong with it, if anything."""
    where, _, function = test.partition(":")
    file = TESTS / where
    if not file.exists():
        return f"there is no {file}"
    if not function or not runs(file, function):
        return f"{file} does not run a test {function}"
    return "" if names(file, name) else f"{file} says nothing of {name}"


def main() -> int:
    headers = sorted(HEADERS.glob("*.h"))
    if not headers and not TABLE.exists():
        return 0
    table, complaints = read_table() if TABLE.exists() else ({}, [])
    known = [key for header in headers for key in documented(header)]
    for header, what, name in known:
        if (header, what, name) not in table:
            complaints.append(f"{HEADERS}/{header}: {name} of {what} has no test in {TABLE}")
    for key, tests in table.items():
        if key not in known:
            complaints.append(f"{TABLE}: {' '.join(key)} is not documented")
        wrong = [check_test(test, key[2]) for test in tests]
        complaints += [f"{TABLE}: {' '.join(key)}: {w}" for w in wrong if w]
    print("".join(f"{c}\n" for c in complaints), end="")
    return 1 if complaints else 0


sys.exit(main())

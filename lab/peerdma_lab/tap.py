# SPDX-License-Identifier: MIT
"""The results of tests: read from TAP, written as TAP and as JUnit XML."""

import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LINE = re.compile(r"^(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\S*\s*(.*))?$", re.IGNORECASE)
DIRECTIVE = re.compile(r"^(.*?)\s*#\s*(SKIP|TODO|XFAIL)\S*\s*(.*)$", re.IGNORECASE)
KSELFTEST_SKIP = 4
PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclass
class Case:
    name: str
    verdict: str
    reason: str = ""


@dataclass
class TestResult:
    """What one test did in one lab."""

    group: str
    name: str
    cases: list[Case] = field(default_factory=list)
    seconds: float = 0.0
    # What a person wants to see when it failed.
    notes: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        self.cases.append(Case(self.name, FAIL, reason))

    @property
    def failed(self) -> bool:
        return any(c.verdict == FAIL for c in self.cases)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "TestResult":
        return TestResult(**{**data, "cases": [Case(**c) for c in data["cases"]]})


def _case(match: re.Match[str]) -> Case:
    bad, text = match.groups()
    directive = DIRECTIVE.match(text)
    if not directive:
        return Case(text.strip(), FAIL if bad else PASS)
    name, word, reason = directive.groups()
    # cmocka writes "not ok 3 # SKIP name".
    if word.upper() == "SKIP" or bad:
        return Case(name.strip() or reason, SKIP, f"{word.lower()}: {reason}")
    return Case(name.strip(), PASS)


def _parse(text: str) -> tuple[list[Case], int | None, str]:
    cases: list[Case] = []
    plan, bail = None, ""
    for line in text.splitlines():
        if match := LINE.match(line):
            cases.append(_case(match))
        elif (match := PLAN.match(line)) and plan is None:
            plan = int(match[1])
            if plan == 0 and match[2]:
                cases.append(Case("", SKIP, match[2]))
                plan = 1
        elif line.startswith("Bail out!"):
            bail = line
            break
    return cases, plan, bail


def judge(name: str, output: str, status: int) -> list[Case]:
    """The cases of a program: those of its TAP, or one by its exit status (kselftest: 4 is a
    skip).
    """
    cases, plan, bail = _parse(output)
    if plan is None and not cases and not bail:
        if status == KSELFTEST_SKIP:
            lines = output.strip().splitlines()
            return [Case(name, SKIP, lines[-1] if lines else "no reason given")]
        verdict = PASS if status == 0 else FAIL
        return [Case(name, verdict, f"exit status {status}" if status else "")]
    found = [Case(c.name or name, c.verdict, c.reason) for c in cases]
    problem = bail
    if not bail and plan is None:
        problem = "the program died before it gave a plan"
    elif not bail and plan != len(cases):
        problem = f"{plan} cases planned, {len(cases)} reported"
    elif status not in (0, KSELFTEST_SKIP) and not any(c.verdict == FAIL for c in cases):
        problem = f"exit status {status} although no case failed"
    if problem:
        found.append(Case(name, FAIL, problem))
    return found


def count(results: list[TestResult], verdict: str) -> int:
    return sum(c.verdict == verdict for r in results for c in r.cases)


def summary(results: list[TestResult]) -> str:
    numbers = (count(results, v) for v in (PASS, FAIL, SKIP))
    return "{} passed, {} failed, {} skipped".format(*numbers)


def tap_lines(result: TestResult, first: int) -> list[str]:
    lines = []
    for number, case in enumerate(result.cases, start=first):
        title = f"{result.group}/{result.name}"
        if case.name != result.name:
            title += f": {case.name}"
        title = title.replace("#", " ")
        word = "not ok" if case.verdict == FAIL else "ok"
        directive = f" # SKIP {case.reason}" if case.verdict == SKIP else ""
        lines.append(f"{word} {number} - {title}{directive}")
        if case.verdict == FAIL and case.reason:
            lines += [f"# {line}" for line in case.reason.splitlines()]
    if result.failed:
        lines += [f"# {line}" for note in result.notes for line in note.splitlines()]
    return [*lines, f"# {result.group}/{result.name}: {result.seconds:.1f} s"]


# XML 1.0 has no way to write these.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def _clean(text: str) -> str:
    return UNPRINTABLE.sub("?", text)


def write_junit(results: list[TestResult], path: Path) -> None:
    root = ET.Element("testsuites", name="peerdma-lab")
    for group in dict.fromkeys(r.group for r in results):
        mine = [r for r in results if r.group == group]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=group,
            tests=str(sum(len(r.cases) for r in mine)),
            failures=str(count(mine, FAIL)),
            skipped=str(count(mine, SKIP)),
            time=f"{sum(r.seconds for r in mine):.3f}",
        )
        for result in mine:
            for case in result.cases:
                one = ET.SubElement(
                    suite,
                    "testcase",
                    classname=f"{group}.{result.name}",
                    name=_clean(case.name),
                    time=f"{result.seconds / len(result.cases):.3f}",
                )
                if case.verdict == FAIL:
                    text = "\n".join([case.reason, *result.notes])
                    ET.SubElement(one, "failure", message=_clean(case.reason)).text = _clean(text)
                elif case.verdict == SKIP:
                    ET.SubElement(one, "skipped", message=_clean(case.reason))
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Add up what the tiers of scripts/test.sh ran, test case by test case.

    testsum.py MANIFEST --tier NAME           one line for a tier, and what failed in it
    testsum.py MANIFEST --expect NAME,NAME    what failed in all; the last line is the total

Each line of the manifest is one program run: tier, format (tap or meson), path of its result,
exit status, seconds, separated by tabs. A tier that is expected and not there, ran nothing, or has
a program that ended badly and named no failed test, counts as a failed test. So does a skip that
tests/may-skip.txt does not allow. Exit status 0 only if nothing failed.
"""

import argparse
import dataclasses
import fnmatch
import json
import pathlib
import re
import sys

TAP_LINE = re.compile(r"^(not )?ok\b\s*(\d*)\s*(?:-\s*)?(.*)$")
TAP_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b:?\s*(.*))?$", re.IGNORECASE)
TAP_DIRECTIVE = re.compile(r"^(.*?)\s*(?<!\\)#\s*(SKIP|TODO)\w*:?\s*(.*)$", re.IGNORECASE)


@dataclasses.dataclass
class Result:
    """Cases of one program, one tier, or all."""

    passed: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def add(self, other: "Result", prefix: str = "") -> None:
        self.passed += other.passed
        self.failed += [prefix + name for name in other.failed]
        self.skipped += [(prefix + name, reason) for name, reason in other.skipped]

    def count(self) -> int:
        return self.passed + len(self.failed) + len(self.skipped)

    def __str__(self) -> str:
        return (f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped")


def parse_tap_line(match: re.Match[str], result: Result) -> None:
    bad, number, text = match.groups()
    directive = TAP_DIRECTIVE.match(text)
    name = (directive[1] if directive else text).strip() or f"test {number}"
    if directive and directive[2].upper() == "SKIP":
        # cmocka writes "not ok 3 # SKIP name", with no way to give a reason.
        result.skipped.append((directive[1].strip() or directive[3], directive[3].strip()))
    elif directive and bad:
        result.skipped.append((name, "to do: " + directive[3].strip()))
    elif bad:
        result.failed.append(name)
    else:
        result.passed += 1


def parse_tap(text: str) -> Result:
    """Count a TAP stream. A missing or unfulfilled plan is a failed case of its own."""
    result = Result()
    plan: int | None = None
    for line in text.splitlines():
        if match := TAP_LINE.match(line):
            parse_tap_line(match, result)
        elif match := TAP_PLAN.match(line):
            plan = int(match[1])
            if plan == 0 and match[2]:
                result.skipped.append(("all", match[2]))
                plan = 1
        elif line.startswith("Bail out!"):
            result.failed.append(line.strip())
            return result
    if plan is None:
        result.failed.append("no TAP plan: the program died or prints something else")
    elif plan != result.count():
        result.failed.append(f"{plan} tests planned, {result.count()} reported")
    return result


def parse_meson_test(test: dict) -> Result:
    """One entry of meson's testlog.json: a TAP program, or one judged by its exit status."""
    out, verdict = test.get("stdout") or "", test.get("result", "")
    result = Result()
    if any(TAP_LINE.match(line) or TAP_PLAN.match(line) for line in out.splitlines()):
        result = parse_tap(out)
    elif verdict == "SKIP":
        result.skipped.append(("all", "exit status 77"))
    elif verdict == "OK":
        result.passed = 1
    # meson reads cmocka's skips as failures.
    ended_badly = verdict not in ("OK", "SKIP", "EXPECTEDFAIL") and not result.skipped
    ended_badly |= test.get("returncode") not in (0, 77)
    if not result.failed and (ended_badly or not result.count()):
        result.failed.append(f"{verdict or 'no verdict'}, exit status {test.get('returncode')}")
    return result


def parse_meson(text: str) -> Result:
    total = Result()
    for line in filter(None, text.splitlines()):
        test = json.loads(line)
        total.add(parse_meson_test(test), test.get("name", "?").split(" / ")[-1] + ": ")
    return total


@dataclasses.dataclass
class Tier:
    """One or several program runs under one name."""

    seconds: float = 0
    result: Result = dataclasses.field(default_factory=Result)


def read_run(kind: str, path: pathlib.Path, status: int) -> Result:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        result = {"tap": parse_tap, "meson": parse_meson}[kind](text)
    except FileNotFoundError:
        result = Result()
    except (OSError, ValueError) as error:
        result = Result(failed=[f"{path.name}: {error}"])
    if not result.count():
        result.failed.append(f"{path.name}: ran no test")
    if status != 0 and not result.failed and not (kind == "meson" and result.skipped):
        result.failed.append(f"{path.name}: exit status {status}, but no test failed")
    return result


def forbid_skips(name: str, result: Result, allowed: list[str]) -> None:
    """A skip that nobody allowed is a failure."""
    for entry in list(result.skipped):
        case, reason = entry
        if not any(fnmatch.fnmatchcase(f"{name}/{case}", pattern) for pattern in allowed):
            result.skipped.remove(entry)
            result.failed.append(f"{case}: required, but skipped: {reason or 'no reason given'}")


def read_manifest(path: pathlib.Path, allowed: list[str]) -> dict[str, Tier]:
    tiers: dict[str, Tier] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        name, kind, result_path, status, seconds = line.split("\t")
        tier = tiers.setdefault(name, Tier())
        tier.seconds += float(seconds)
        tier.result.add(read_run(kind, pathlib.Path(result_path), int(status)))
    for name, tier in tiers.items():
        forbid_skips(name, tier.result, allowed)
    return tiers


def read_allowed(path: pathlib.Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def print_tier(name: str, tier: Tier) -> None:
    print(f"{name:8} {str(tier.result):40} {tier.seconds:7.1f} s")
    for case in tier.result.failed:
        print(f"  FAILED  {case}")
    for case, reason in tier.result.skipped:
        print(f"  skipped {case}: {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=pathlib.Path)
    parser.add_argument("--tier")
    parser.add_argument("--expect", default="")
    parser.add_argument("--may-skip", type=pathlib.Path,
                        default=pathlib.Path(__file__).parents[1] / "tests/may-skip.txt")
    args = parser.parse_args()
    tiers = read_manifest(args.manifest, read_allowed(args.may_skip))
    missing = Tier(result=Result(failed=["did not run"]))
    if args.tier:
        tier = tiers.get(args.tier, missing)
        print_tier(args.tier, tier)
        return 1 if tier.result.failed else 0
    names = list(dict.fromkeys([*filter(None, args.expect.split(",")), *tiers]))
    total = Result()
    for name in names:
        tier = tiers.get(name, missing)
        if tier.result.failed:
            print_tier(name, tier)
        total.add(tier.result)
    if not total.count():
        total.failed.append("nothing ran")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())

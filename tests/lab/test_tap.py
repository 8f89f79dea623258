# SPDX-License-Identifier: MIT
"""Judging the output of guest tests, and writing results."""

import pathlib
import tempfile
import sys
import unittest
import xml.etree.ElementTree as ET

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import tap  # noqa: E402
from peerdma_lab.tap import FAIL, PASS, SKIP, Case, TestResult  # noqa: E402


def verdicts(output: str, status: int) -> list[str]:
    return [c.verdict for c in tap.judge("t", output, status)]


class Judging(unittest.TestCase):
    def test_exit_status_alone(self) -> None:
        self.assertEqual(verdicts("", 0), [PASS])
        self.assertEqual(verdicts("words\n", 1), [FAIL])
        self.assertEqual(verdicts("no device\n", 4), [SKIP])
        self.assertEqual(verdicts("", 137), [FAIL])

    def test_tap(self) -> None:
        text = "TAP version 13\n1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no NIC\n"
        self.assertEqual(verdicts(text, 1), [PASS, FAIL, SKIP])

    def test_cmocka_skip(self) -> None:
        self.assertEqual(verdicts("1..1\nnot ok 1 # SKIP name\n", 0), [SKIP])

    def test_nothing_lost_is_a_pass(self) -> None:
        self.assertEqual(verdicts("1..2\nok 1 - a\n", 0), [PASS, FAIL])
        self.assertEqual(verdicts("ok 1 - a\n", 0), [PASS, FAIL])
        self.assertEqual(verdicts("1..1\nok 1 - a\n", 1), [PASS, FAIL])
        self.assertEqual(verdicts("1..2\nok 1 - a\nBail out! gone\n", 0), [PASS, FAIL])

    def test_skip_of_all(self) -> None:
        case = tap.judge("t", "1..0 # SKIP no IOMMU\n", 0)
        self.assertEqual(case, [Case("t", SKIP, "no IOMMU")])


class Writing(unittest.TestCase):
    RESULT = TestResult(
        "switch",
        "copy",
        [Case("small", PASS), Case("large", FAIL, "offset 7"), Case("odd", SKIP, "why")],
        2.0,
        ["a stdout:\n\x00bad \x1b[0m"],
    )

    def test_lines(self) -> None:
        lines = tap.tap_lines(self.RESULT, 4)
        self.assertEqual(lines[0], "ok 4 - switch/copy: small")
        self.assertEqual(lines[1:3], ["not ok 5 - switch/copy: large", "# offset 7"])
        self.assertEqual(lines[3], "ok 6 - switch/copy: odd # SKIP why")
        self.assertTrue(all(line.startswith("#") for line in lines[4:]))
        self.assertRegex(lines[-1], r"^# switch/copy: \d+\.\d s$")

    def test_summary(self) -> None:
        self.assertEqual(tap.summary([self.RESULT]), "1 passed, 1 failed, 1 skipped")

    def test_junit_is_xml_and_complete(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "sub" / "r.xml"
            tap.write_junit([self.RESULT], path)
            suite = ET.parse(path).getroot()[0]
        self.assertEqual(suite.get("tests"), "3")
        self.assertEqual((suite.get("failures"), suite.get("skipped")), ("1", "1"))
        self.assertIn("offset 7", suite.findall("testcase/failure")[0].text or "")

    def test_json_round_trip(self) -> None:
        self.assertEqual(TestResult.from_json(self.RESULT.to_json()), self.RESULT)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""scripts/testsum.py: nothing that went wrong may end up as a pass."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import testsum  # noqa: E402


def counts(result: testsum.Result) -> tuple[int, int, int]:
    return result.passed, len(result.failed), len(result.skipped)


class TapTest(unittest.TestCase):
    def expect(self, text: str, passed: int, failed: int, skipped: int) -> testsum.Result:
        result = testsum.parse_tap(text)
        self.assertEqual(counts(result), (passed, failed, skipped), result)
        return result

    def test_plain(self) -> None:
        result = self.expect("TAP version 13\n1..2\nok 1 - a\nnot ok 2 - b\n# why\n", 1, 1, 0)
        self.assertEqual(result.failed, ["b"])

    def test_plan_may_come_last(self) -> None:
        self.expect("ok 1 - a\nok 2\n1..2\n", 2, 0, 0)

    def test_skip_keeps_its_reason(self) -> None:
        result = self.expect("1..1\nok 1 - a # SKIP no iommu\n", 0, 0, 1)
        self.assertEqual(result.skipped, [("a", "no iommu")])

    def test_skip_as_cmocka_writes_it(self) -> None:
        result = self.expect("1..1\nnot ok 1 # SKIP a\n", 0, 0, 1)
        self.assertEqual(result.skipped[0][0], "a")

    def test_skip_of_the_whole_plan(self) -> None:
        result = self.expect("1..0 # SKIP no device\n", 0, 0, 1)
        self.assertEqual(result.skipped, [("all", "no device")])

    def test_todo_is_no_pass(self) -> None:
        self.expect("1..1\nnot ok 1 - a # TODO later\n", 0, 0, 1)

    def test_name_with_the_word_skip_is_a_test(self) -> None:
        self.expect("1..1\nnot ok 1 - skip_when_full\n", 0, 1, 0)

    def test_indented_lines_are_subtests_and_not_counted(self) -> None:
        self.expect("1..1\n    not ok 1 - inner\n    1..1\nok 1 - outer\n", 1, 0, 0)

    def test_death_before_the_end(self) -> None:
        self.expect("1..3\nok 1 - a\n", 1, 1, 0)

    def test_more_than_planned(self) -> None:
        self.expect("1..1\nok 1\nok 2\n", 2, 1, 0)

    def test_no_plan(self) -> None:
        self.expect("ok 1 - a\n", 1, 1, 0)

    def test_empty(self) -> None:
        self.expect("", 0, 1, 0)

    def test_bail_out(self) -> None:
        self.expect("1..2\nok 1\nBail out! no memory\n", 1, 1, 0)


class MesonTest(unittest.TestCase):
    def expect(self, test: dict, passed: int, failed: int, skipped: int) -> None:
        result = testsum.parse_meson(json.dumps({"name": "p:unit / t"} | test) + "\n")
        self.assertEqual(counts(result), (passed, failed, skipped), result)

    def test_counts_the_cases_of_a_tap_program(self) -> None:
        self.expect({"stdout": "1..2\nok 1 - a\nok 2 - b\n", "result": "OK", "returncode": 0},
                    2, 0, 0)

    def test_crash_after_the_last_case(self) -> None:
        self.expect({"stdout": "1..1\nok 1 - a\n", "result": "ERROR", "returncode": -11}, 1, 1, 0)

    def test_sanitizer_report_at_exit(self) -> None:
        self.expect({"stdout": "1..1\nok 1 - a\n", "result": "ERROR", "returncode": 1}, 1, 1, 0)

    def test_failed_case_is_counted_once(self) -> None:
        self.expect({"stdout": "1..1\nnot ok 1 - a\n", "result": "ERROR", "returncode": 1},
                    0, 1, 0)

    def test_timeout_before_any_output(self) -> None:
        self.expect({"stdout": "", "result": "TIMEOUT", "returncode": -15}, 0, 1, 0)

    def test_timeout_with_exit_status_0(self) -> None:
        self.expect({"stdout": "1..1\nok 1\n", "result": "TIMEOUT", "returncode": 0}, 1, 1, 0)

    def test_tap_test_without_output(self) -> None:
        self.expect({"stdout": "", "result": "ERROR", "returncode": 0}, 0, 1, 0)

    def test_program_judged_by_exit_status(self) -> None:
        self.expect({"stdout": "hello\n", "result": "OK", "returncode": 0}, 1, 0, 0)
        self.expect({"stdout": "hello\n", "result": "FAIL", "returncode": 3}, 0, 1, 0)
        self.expect({"stdout": "", "result": "SKIP", "returncode": 77}, 0, 0, 1)

    def test_skip_that_meson_calls_a_failure(self) -> None:
        self.expect({"stdout": "1..1\nnot ok 1 # SKIP a\n", "result": "ERROR", "returncode": 0},
                    0, 0, 1)


class SummaryTest(unittest.TestCase):
    """The program as test.sh calls it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="peerdma-testsum-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.manifest = self.folder / "manifest"
        self.may_skip = self.folder / "may-skip"
        self.may_skip.write_text("# comment\nguest/numa*  one node only\n")

    def run_of(self, tier: str, tap: str, status: int = 0) -> None:
        path = self.folder / f"{tier}.{len(list(self.folder.iterdir()))}.tap"
        path.write_text(tap)
        with self.manifest.open("a") as manifest:
            manifest.write(f"{tier}\ttap\t{path}\t{status}\t1.5\n")

    def summary(self, *args: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, SCRIPTS / "testsum.py", self.manifest, "--may-skip", self.may_skip,
             *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_all_passed(self) -> None:
        self.run_of("unit", "1..2\nok 1\nok 2\n")
        self.run_of("guest", "1..1\nok 1\n")
        status, lines = self.summary("--expect", "unit,guest")
        self.assertEqual((status, lines[-1]), (0, "3 passed, 0 failed, 0 skipped"))

    def test_runs_of_one_tier_add_up(self) -> None:
        self.run_of("python", "1..1\nok 1\n")
        self.run_of("python", "1..1\nnot ok 1 - b\n", 1)
        status, lines = self.summary("--tier", "python")
        self.assertEqual(status, 1)
        self.assertIn("1 passed, 1 failed, 0 skipped", lines[0])
        self.assertIn("3.0 s", lines[0])
        self.assertEqual(lines[1].split(), ["FAILED", "b"])

    def test_expected_tier_that_did_not_run(self) -> None:
        self.run_of("unit", "1..1\nok 1\n")
        status, lines = self.summary("--expect", "unit,guest")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_nothing_ran_at_all(self) -> None:
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_bad_exit_status_of_a_program_that_named_no_failure(self) -> None:
        self.run_of("guest", "1..1\nok 1\n", 137)
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_empty_plan_is_a_failure(self) -> None:
        self.run_of("unit", "1..0\n")
        self.assertEqual(self.summary()[0], 1)

    def test_result_file_that_is_not_there(self) -> None:
        self.manifest.write_text(f"unit\tmeson\t{self.folder}/none.json\t0\t1\n")
        self.assertEqual(self.summary()[0], 1)

    def test_result_file_that_is_not_json(self) -> None:
        (self.folder / "x.json").write_text("{")
        self.manifest.write_text(f"unit\tmeson\t{self.folder}/x.json\t0\t1\n")
        self.assertEqual(self.summary()[0], 1)

    def test_allowed_skip_is_counted(self) -> None:
        self.run_of("guest", "1..2\nok 1 - a\nok 2 - numa_two # SKIP one node\n")
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("  skipped numa_two: one node", self.summary("--tier", "guest")[1])

    def test_skip_of_a_required_test_fails(self) -> None:
        self.run_of("guest", "1..1\nok 1 - copy # SKIP no device\n")
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))


class PytapTest(unittest.TestCase):
    """scripts/pytap.py says what unittest found."""

    def pytap(self, code: str) -> tuple[int, testsum.Result]:
        with tempfile.TemporaryDirectory(prefix="peerdma-pytap-") as folder:
            (pathlib.Path(folder) / "test_x.py").write_text(code)
            done = subprocess.run([sys.executable, SCRIPTS / "pytap.py", folder], text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, testsum.parse_tap(done.stdout)

    def test_verdicts(self) -> None:
        status, result = self.pytap(
            "import unittest\n"
            "class T(unittest.TestCase):\n"
            "    def test_a(self): pass\n"
            "    def test_b(self): self.assertEqual('x\\nok 9', 'y')\n"
            "    def test_c(self): raise OSError\n"
            "    def test_d(self): self.skipTest('why')\n"
            "    def test_e(self):\n"
            "        with self.subTest(n=1): self.fail()\n")
        self.assertEqual(status, 1)
        self.assertEqual(counts(result), (1, 3, 1), result)
        self.assertEqual(result.skipped[0][1], "why")

    def test_file_that_does_not_import(self) -> None:
        status, result = self.pytap("import nowhere_to_be_found\n")
        self.assertEqual((status, len(result.failed)), (1, 1))

    def test_set_up_class_that_fails(self) -> None:
        status, result = self.pytap(
            "import unittest\n"
            "class T(unittest.TestCase):\n"
            "    @classmethod\n"
            "    def setUpClass(cls): raise OSError\n"
            "    def test_a(self): pass\n")
        self.assertEqual((status, len(result.failed)), (1, 1))

    def test_folder_without_tests(self) -> None:
        self.assertEqual(self.pytap("")[0], 1)


if __name__ == "__main__":
    unittest.main()

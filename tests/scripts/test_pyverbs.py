# SPDX-License-Identifier: MIT
"""The harness and the table of rdma-core's test suite (docs/pyverbs.md)."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/pyverbs"
sys.path.insert(0, str(HERE))

import supervise  # noqa: E402
from expected import load_expected  # noqa: E402

SUITE = """
import os, time, unittest
class Case(unittest.TestCase):
    def test_a_passes(self): pass
    def test_b_hangs(self): time.sleep(1000)
    def test_c_skips(self): self.skipTest("no such thing")
    def test_d_dies(self): os._exit(0)
    def test_e_fails(self): self.assertEqual(1, 2)
    def test_f_leaves_a_child(self):
        if not os.fork():
            time.sleep(1000)
"""

INIT = """
from args_parser import parser
from . import test_case
def load_tests(loader, standard, pattern):
    assert parser.args == ["--dev", "x"], parser.args
    standard.addTests(loader.loadTestsFromModule(test_case))
    return standard
"""

PARSER = """
import sys
class Parser:
    def parse_args(self):
        self.args = sys.argv[1:]
parser = Parser()
"""


class HarnessTest(unittest.TestCase):
    def run_suite(self, leave_out: list[str], limit: float) -> dict[str, supervise.Outcome]:
        heard: list[supervise.Outcome] = []
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as log:
            folder = pathlib.Path(name)
            (folder / "__init__.py").write_text(INIT, encoding="utf-8")
            (folder / "args_parser.py").write_text(PARSER, encoding="utf-8")
            (folder / "test_case.py").write_text(SUITE, encoding="utf-8")
            suite = supervise.Suite(folder, ["--dev", "x"], log, limit, heard.append)
            done = suite.run([f"tests.test_case.Case.test_{n}" for n in leave_out])
        self.assertEqual(done, heard)
        return {o.case.removeprefix("tests.test_case.Case.test_"): o for o in done}

    def test_all_go_on_after_a_hang_and_a_death(self) -> None:
        done = self.run_suite([], 4.0)
        verdicts = {name: o.verdict for name, o in done.items()}
        self.assertEqual(verdicts, {
            "a_passes": "pass", "b_hangs": "fail", "c_skips": "skip", "d_dies": "fail",
            "e_fails": "fail", "f_leaves_a_child": "pass",
        })  # fmt: skip
        self.assertTrue(done["b_hangs"].why.startswith("hangs"))
        self.assertTrue(done["d_dies"].why.startswith("the process died"))
        self.assertEqual(done["c_skips"].why, "no such thing")
        self.assertIn("1 != 2", done["e_fails"].why)

    def test_left_out(self) -> None:
        done = self.run_suite(["b_hangs", "d_dies"], 20.0)
        self.assertEqual(list(done), ["a_passes", "c_skips", "e_fails", "f_leaves_a_child"])

    def test_suite_that_does_not_load(self) -> None:
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as log:
            folder = pathlib.Path(name)
            (folder / "__init__.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
            suite = supervise.Suite(folder, [], log, 20.0, lambda _: None)
            self.assertRaises(RuntimeError, suite.run, [])


class TableTest(unittest.TestCase):
    def test_enough_pass_and_the_rest_has_reasons(self) -> None:
        table = load_expected(HERE / "expected.json")
        self.assertGreaterEqual(sum(e.verdict == "pass" for e in table.values()), 140)
        for name, want in table.items():
            if want.verdict != "pass":
                self.assertTrue(want.said and want.reason, name)

    def test_each_case_once(self) -> None:
        data = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
        names = list(data["pass"])
        for verdict in ("skip", "fail"):
            for groups in data[verdict].values():
                names += [n for some in groups.values() for n in some]
        self.assertEqual(len(names), len(set(names)))

    def test_document_is_up_to_date(self) -> None:
        said = subprocess.run([sys.executable, str(HERE / "table.py")], capture_output=True,
                              text=True, check=True).stdout
        self.assertEqual(said, (ROOT / "docs/pyverbs.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()

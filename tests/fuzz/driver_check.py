#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The stand-alone fuzz driver reports what it must: driver_check.py PROGRAM SANITIZED(0|1)"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import pytap  # noqa: E402

PROGRAM = sys.argv[1]
SANITIZED = sys.argv[2] == "1"


class DriverTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="peerdma-fuzz-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.found = self.folder / "found"
        self.found.mkdir()
        self.corpus = self.folder / "corpus"
        self.corpus.mkdir()

    def run_driver(self, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "--artifacts", self.found, *map(str, args)], env=os.environ | env, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=50)

    def artifacts(self) -> list[tuple[str, bytes]]:
        return [(p.name.split("-")[0], p.read_bytes()) for p in self.found.iterdir()]

    def expect_finding(self, content: bytes, kind: str, *args: object) -> None:
        (self.corpus / "input").write_bytes(content)
        done = self.run_driver(*args, self.corpus)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"\nBail out! {kind}, input saved in {self.found}/{kind}-", done.stdout)
        self.assertEqual(self.artifacts(), [(kind, content)])

    def test_abort_is_saved(self) -> None:
        self.expect_finding(b"abort now", "crash")

    def test_segmentation_fault_is_saved(self) -> None:
        self.expect_finding(b"segv now", "crash")

    def test_hang_is_saved(self) -> None:
        self.expect_finding(b"hang", "timeout", "--timeout", 1)

    def test_overrun_of_one_byte_is_seen_by_sanitizer(self) -> None:
        if SANITIZED:
            self.expect_finding(b"over", "crash")
        else:
            (self.corpus / "input").write_bytes(b"over")
            self.assertEqual(self.run_driver(self.corpus).returncode, 0)

    def test_mutation_finds_shallow_bug_and_replay_confirms_it(self) -> None:
        (self.corpus / "seed").write_bytes(b"xy")
        done = self.run_driver("--runs", 100000, self.corpus, PLANTED_SHALLOW="1")
        self.assertNotEqual(done.returncode, 0)
        (kind, content), = self.artifacts()
        self.assertEqual((kind, content[:2]), ("crash", b"x\xff"))
        again = self.run_driver(next(self.found.iterdir()), PLANTED_SHALLOW="1")
        self.assertNotEqual(again.returncode, 0)

    def test_same_seed_same_inputs(self) -> None:
        for name in "abc":
            (self.corpus / name).write_bytes(name.encode() * 50)

        def trace(seed: int) -> list[str]:
            done = self.run_driver("--runs", 500, "--seed", seed, self.corpus, PLANTED_TRACE="1")
            self.assertEqual(done.returncode, 0)
            return done.stderr.splitlines()
        self.assertEqual(len(trace(1)), 503)
        self.assertEqual(trace(1), trace(1))
        self.assertNotEqual(trace(1)[3:], trace(2)[3:])

    def test_length_limit_holds(self) -> None:
        (self.corpus / "long").write_bytes(b"y" * 300)
        done = self.run_driver("--runs", 2000, "--max-len", 100, self.corpus, PLANTED_TRACE="1")
        lengths = [int(line.split()[0]) for line in done.stderr.splitlines()]
        self.assertEqual(lengths[0], 300)
        self.assertEqual(max(lengths[1:]), 100)
        self.assertEqual(min(lengths[1:]), 0)

    def test_runs_without_corpus(self) -> None:
        done = self.run_driver("--runs", 100)
        self.assertEqual(done.returncode, 0)
        self.assertIn("1..2\nok 1 - replay of 0 inputs\nok 2 - 100 runs, seed 1\n", done.stdout)

    def test_missing_corpus_fails(self) -> None:
        done = self.run_driver(self.folder / "nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Bail out!", done.stdout)

    def test_bad_options_are_refused(self) -> None:
        for args in (["--runs", "x"], ["--runs", "-1"], ["--max-len", "0"], ["--nonsense"],
                     ["--timeout", "99999999999999999999"]):
            with self.subTest(args=args):
                self.assertEqual(self.run_driver(*args).returncode, 2)


if __name__ == "__main__":
    result = pytap.TapResult()
    unittest.TestLoader().loadTestsFromTestCase(DriverTest).run(result)
    print(f"1..{result.number}")
    sys.exit(0 if result.wasSuccessful() else 1)

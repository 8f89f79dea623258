#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The NIC's fuzzers get deep, and see what they look for: nic_depth.py CMD WQE CORPUS

A fuzzer whose inputs all fail at the first check finds nothing. FUZZ_STATS names a file in which
the fuzzers count what commands and requests came to.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import pytap  # noqa: E402

CMD, WQE, CORPUS = (pathlib.Path(arg) for arg in sys.argv[1:4])
RUNS = 4000

# Opcodes that must have succeeded. Absent: those no input can bring to success (from states or for
# features the model does not have).
OPCODES = [
    0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x107, 0x108, 0x109, 0x10a, 0x10b, 0x10d,
    0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x301, 0x302, 0x303, 0x304,
    0x400, 0x402, 0x403, 0x500, 0x501, 0x502, 0x503, 0x504, 0x507, 0x50a, 0x50b, 0x50d,
    0x600, 0x700, 0x701, 0x702, 0x703, 0x705, 0x706, 0x707, 0x708, 0x750, 0x762, 0x764, 0x765,
    0x770, 0x800, 0x801, 0x802, 0x803, 0x805, 0x806, 0x807, 0x80d, 0x80e, 0x80f, 0x816,
    0x90c, 0xa04, 0xa06, 0xa08,
]
STATUSES = [0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x50, 0x51]
REQUESTS = [0x00, 0x01, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x25]
# Opcode and syndrome of completions: sent, received in each way, and what went wrong.
COMPLETIONS = [
    (0x0, 0), (0x1, 0), (0x2, 0), (0x3, 0), (0x4, 0), (0xd, 0x01), (0xd, 0x02), (0xd, 0x04),
    (0xd, 0x05), (0xd, 0x06), (0xd, 0x12), (0xd, 0x13), (0xd, 0x14), (0xd, 0x15), (0xd, 0x16),
    (0xe, 0x01), (0xe, 0x04), (0xe, 0x05), (0xe, 0x11),
]


class DepthTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="peerdma-fuzz-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_fuzzer(self, program: pathlib.Path, **env: str) -> subprocess.CompletedProcess[str]:
        corpus = CORPUS / program.name.removeprefix("fuzz_")
        return subprocess.run(
            [program, "--runs", str(RUNS), "--max-len", "400", "--artifacts", self.folder, corpus],
            env=os.environ | env, text=True, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=120)

    def stats(self, program: pathlib.Path) -> list[list[str]]:
        path = self.folder / "stats"
        done = self.run_fuzzer(program, FUZZ_STATS=str(path))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [line.split() for line in path.read_text().splitlines()]

    def test_commands_succeed_and_fail_in_every_way(self) -> None:
        rows = [r for r in self.stats(CMD) if r[0] == "command"]
        succeeded = {int(r[1], 0) for r in rows if int(r[3], 0) == 0}
        self.assertEqual([hex(op) for op in OPCODES if op not in succeeded], [])
        statuses = {int(r[3], 0) for r in rows}
        self.assertEqual([hex(st) for st in STATUSES if st not in statuses], [])

    def test_requests_complete_in_every_way(self) -> None:
        rows = self.stats(WQE)
        requests = {int(r[1], 0) for r in rows if r[0] == "request"}
        self.assertEqual([hex(op) for op in REQUESTS if op not in requests], [])
        completions = {(int(r[1], 0), int(r[3], 0)) for r in rows if r[0] == "completion"}
        self.assertEqual([c for c in COMPLETIONS if c not in completions], [])

    def test_byte_beyond_a_key_is_found_out(self) -> None:
        done = self.run_fuzzer(WQE, FUZZ_PLANT="1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Bail out! crash", done.stdout)
        self.assertIn("the device keeps to the memory of the key", done.stderr)


if __name__ == "__main__":
    result = pytap.TapResult()
    unittest.TestLoader().loadTestsFromTestCase(DepthTest).run(result)
    print(f"1..{result.number}")
    sys.exit(0 if result.wasSuccessful() else 1)

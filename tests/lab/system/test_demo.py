# SPDX-License-Identifier: MIT
"""make demo's command with real guests: it succeeds, and does not when its data are harmed."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
LAUNCHER = str(ROOT / "lab" / "peerdma-lab")
LIMIT = 300


class Demo(unittest.TestCase):
    def run_demo(self, *args: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            done = subprocess.run(
                [LAUNCHER, "demo", "-o", folder, *args], capture_output=True, text=True,
                timeout=LIMIT, check=False, env=os.environ,
            )  # fmt: skip
            self.pages = sorted(p.name for p in pathlib.Path(folder, "artefacts/a").glob("*"))
        return done

    def test_succeeds(self) -> None:
        done = self.run_demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("NO ", done.stdout)
        self.assertEqual(self.pages, ["demo.json", "report.html", "topology.svg"])

    def test_harmed(self) -> None:
        done = self.run_demo("--env", "PEERDMA_DEMO_HARM=b/nic0 dma.peer.write corrupt")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("NO   b's accelerator finds the CRC32C", done.stdout)

    def test_needs_an_iommu(self) -> None:
        done = self.run_demo("-t", "switch")
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("no IOMMU", done.stderr)


if __name__ == "__main__":
    unittest.main()

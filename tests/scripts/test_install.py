# SPDX-License-Identifier: MIT
"""What is installed works where it is put, from any directory, and goes again without a trace."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PEERDMA_BUILD", SOURCE / "build")).absolute()
# The launcher must not fall back on what a developer has set, or on the source tree.
HIDDEN = ("PEERDMA_BUILD", "PEERDMA_LAB_DATA", "PEERDMA_FABRIC", "PEERDMA_CACHE", "PYTHONPATH")


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not (BUILD / "build.ninja").exists():
            raise unittest.SkipTest(f"nothing is built in {BUILD}")
        cls.dest = pathlib.Path(tempfile.mkdtemp(prefix="peerdma-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.dest)
        cls.meson("install", "--no-rebuild", "--destdir", str(cls.dest))
        cls.prefix = next(cls.dest.glob("**/bin/peerdma-lab")).parents[1]
        cls.lab = cls.prefix / "libexec/peerdma"

    @classmethod
    def meson(cls, *words: str) -> None:
        done = subprocess.run(
            ["meson", *words, "-C", str(BUILD)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"meson {words}:\n{done.stdout}{done.stderr}"

    def say(self, *words: str) -> str:
        """Run an installed program in a directory that has nothing to do with it."""
        env = {k: v for k, v in os.environ.items() if k not in HIDDEN}
        with tempfile.TemporaryDirectory() as elsewhere:
            env["HOME"] = env["XDG_CACHE_HOME"] = elsewhere
            done = subprocess.run(
                words, capture_output=True, text=True, check=False, cwd=elsewhere, env=env
            )
            self.assertEqual(done.returncode, 0, f"{words}:\n{done.stdout}{done.stderr}")
            self.assertEqual(os.listdir(elsewhere), [])
        return done.stdout

    def test_launcher(self) -> None:
        said = self.say(str(self.prefix / "bin/peerdma-lab"), "topologies")
        names = [line.split()[0] for line in said.splitlines() if not line.startswith(" ")]
        there = [p.stem for p in (SOURCE / "lab/topologies").glob("*.json")]
        self.assertEqual(sorted(names), sorted(there))
        self.say(str(self.prefix / "bin/peerdma-lab"), "run", "--help")

    def test_what_it_cannot(self) -> None:
        for word in ("test", "kbuild", "demo"):
            done = subprocess.run(
                [self.prefix / "bin/peerdma-lab", word], capture_output=True, text=True, check=False
            )
            self.assertNotEqual(done.returncode, 0, word)
            self.assertIn("needs the source tree", done.stderr, word)

    def test_what_a_lab_needs(self) -> None:
        """Every file the launcher takes from its data or the build directory."""
        for name in (
            "lab/image/recipe.json",
            "lab/image/customize.sh",
            "lab/guest-tools/peerdma-ctl",
            "lab/topologies/switch.json",
            "build/lab/guest/peerdma-guest",
            "build/lab/host/peerdma-tsc",
            "build/models/fabric/peerdma-fabric",
            "build/lib/libpeerdma.so.0",
            "build/kernel",
        ):
            self.assertTrue((self.lab / name).exists(), name)
        for name in ("lab/guest-tools/peerdma-ctl", "lab/image/customize.sh"):
            mode = (SOURCE / name).stat().st_mode & 0o111
            self.assertEqual((self.lab / name).stat().st_mode & 0o111, mode, name)

    def test_guests_programs(self) -> None:
        """They see their library beside them, wherever the tree is mounted."""
        version = self.say(str(self.lab / "build/cli/peerdma"), "--version")
        self.assertTrue(version)
        self.say(str(self.lab / "build/models/fabric/peerdma-fabric"), "--help")

    def test_man_pages(self) -> None:
        if not list((BUILD / "docs").glob("*.1")):
            self.skipTest("man pages are not built: rst2man (python3-docutils) is missing")
        pages = {p.name for p in self.prefix.glob("share/man/man1/*")}
        sources = {p.stem for p in (SOURCE / "docs/man").glob("*.1.rst")}
        self.assertEqual(pages, sources)
        self.assertTrue((self.prefix / "share/man/man3/libpeerdma.3").exists())

    def test_zz_uninstall(self) -> None:
        """The last one. No file of Python's is left in the launcher's folders either."""
        self.say(str(self.prefix / "bin/peerdma-lab"), "topologies")
        done = subprocess.run(
            ["ninja", "-C", str(BUILD), "uninstall"], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        left = [p for p in self.dest.rglob("*") if not p.is_dir() or p.is_symlink()]
        self.assertEqual(left, [])
        self.assertFalse(self.lab.exists(), list(self.lab.rglob("*"))[:9])

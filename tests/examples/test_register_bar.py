# SPDX-License-Identifier: MIT
"""A program outside of the project: built against an installed package, run in a guest.

Needs the build (PEERDMA_BUILD), a C compiler, pkg-config and the guest image.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("PEERDMA_BUILD", "build")
PLACE = BUILD / "test-example"
IN_GUEST = pathlib.PurePosixPath("/peerdma/build/test-example")
EXAMPLE = ROOT / "examples" / "register_bar.c"
LIMIT = 180


def run(*command: str, **more: str) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT, env={**os.environ, **more}, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


class RegisterBar(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        shutil.rmtree(PLACE, ignore_errors=True)
        run("meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir", str(PLACE))
        cls.pc = next(PLACE.rglob("peerdma.pc"))
        cls.library = next(PLACE.rglob("libpeerdma.so.0"))
        where = {"PKG_CONFIG_PATH": str(cls.pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(PLACE)}
        flags = run("pkg-config", "--cflags", "--libs", "peerdma", **where).split()
        # Headers and libraries of the system are found without a sysroot.
        run("cc", "-Wall", "-Wextra", "-Werror", str(EXAMPLE), *flags, "-o",
            str(PLACE / "register_bar"))

    def guest(self, topology: str, uri: str) -> subprocess.CompletedProcess[str]:
        lib = IN_GUEST / self.library.relative_to(PLACE).parent
        command = f"{IN_GUEST}/register_bar mlx5_0 {uri}"
        return subprocess.run(
            [str(ROOT / "lab" / "peerdma-lab"), "run", "-t", topology, "--", "env",
             f"LD_LIBRARY_PATH={lib}", "sh", "-c", command],
            text=True, capture_output=True, timeout=LIMIT, check=False,
            env={**os.environ, "PEERDMA_BUILD": str(BUILD)})

    def test_a_bar_is_registered(self) -> None:
        done = self.guest("switch-iommu", "vfio:$PEERDMA_SLOT_ACC0/bar2+1M:64K")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^rkey 0x[0-9a-f]+, .*65536 bytes, by dynamic-dmabuf: ")

    def test_it_says_why_not(self) -> None:
        done = self.guest("switch", "vfio:$PEERDMA_SLOT_ACC0/bar2")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("register_bar: ", done.stderr)

    def test_it_is_short(self) -> None:
        self.assertLess(len(EXAMPLE.read_text().splitlines()), 40)

    def test_the_package_shows_nothing_private(self) -> None:
        names = re.findall(r" [TBDRVW] (\S+)", run("nm", "-D", "--defined-only",
                                                   str(self.library)))
        self.assertGreater(len(names), 50)
        self.assertEqual([n for n in names if not n.startswith("pdma_")], [])

    def test_every_header_is_installed(self) -> None:
        ours = {p.name for p in (ROOT / "include" / "peerdma").glob("*.h")}
        there = {p.name for p in PLACE.rglob("include/peerdma/*.h")}
        self.assertEqual(ours, there)


if __name__ == "__main__":
    unittest.main()

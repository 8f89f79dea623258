# SPDX-License-Identifier: MIT
"""scripts/deps.sh, on a machine made of stand-ins for dpkg-query, apt-get, apt-cache and id."""

import os
import pathlib
import subprocess
import tempfile
import unittest

DEPS = pathlib.Path(__file__).resolve().parents[2] / "scripts/deps.sh"

# What is installed and what the lists know are files, one package a line; log keeps the calls.
STAND_INS = {
    "id": 'echo "$(cat "$STATE/uid")"',
    "dpkg-query": 'sed "s/$/ installed/" "$STATE/installed"; echo "half half-configured"',
    "apt-cache": 'for last; do :; done; grep -qx "$last" "$STATE/lists"',
    "apt-get": '''
        echo "$*" >>"$STATE/log"
        case " $* " in
        *" update "*) cp "$STATE/archive" "$STATE/lists" ;;
        *" install "*)
            [ ! -e "$STATE/stale" ] || { rm "$STATE/stale"; echo "404" >&2; exit 100; }
            for word; do
                grep -qx "$word" "$STATE/archive" && echo "$word" >>"$STATE/installed"
            done
            true ;;
        esac''',
}


class DepsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="peerdma-deps-")
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name)
        for name, body in STAND_INS.items():
            program = self.state / name
            program.write_text("#!/bin/sh\n" + body + "\n")
            program.chmod(0o755)
        self.set("uid", "0")
        self.wanted = self.deps("--list", "build", "test").stdout.split()
        self.set("archive", *self.wanted)
        self.set("lists", *self.wanted)
        self.set("installed", *self.wanted)

    def set(self, name: str, *lines: str) -> None:
        (self.state / name).write_text("".join(line + "\n" for line in lines))

    def deps(self, *args: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PATH": f"{self.state}:{os.environ['PATH']}", "STATE": str(self.state)}
        return subprocess.run([DEPS, *args], env=env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False)

    def calls(self) -> list[str]:
        """update or install, in order."""
        log = self.state / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [word for line in lines for word in line.split() if word in ("update", "install")]

    def test_nothing_missing_does_nothing(self) -> None:
        result = self.deps("build", "test")
        self.assertEqual((result.returncode, result.stdout, self.calls()), (0, "", []))

    def test_installs_only_what_is_missing(self) -> None:
        self.set("installed", *[p for p in self.wanted if p != "meson"])
        result = self.deps("build")
        self.assertEqual((result.returncode, self.calls()), (0, ["install"]))
        self.assertEqual(result.stdout, "installing meson\n")
        self.assertEqual(self.deps("--check", "build").returncode, 0)

    def test_half_installed_package_is_missing(self) -> None:
        self.set("installed", *[p for p in self.wanted if p != "meson"], "meson:any")
        self.assertEqual(self.deps("--check", "build").stdout.split(), ["meson"])

    def test_empty_lists_are_updated_first(self) -> None:
        self.set("installed")
        self.set("lists")
        self.assertEqual(self.deps("test").returncode, 0)
        self.assertEqual(self.calls(), ["update", "install"])

    def test_stale_lists_are_updated_after_the_failure(self) -> None:
        self.set("installed")
        self.set("stale")
        self.assertEqual(self.deps("test").returncode, 0)
        self.assertEqual(self.calls(), ["install", "update", "install"])

    def test_package_that_does_not_exist_fails(self) -> None:
        self.set("installed")
        self.set("archive")
        self.set("lists")
        (self.state / "apt-get").write_text("#!/bin/sh\nexit 100\n")
        self.assertNotEqual(self.deps("build").returncode, 0)

    def test_ordinary_user_gets_one_command(self) -> None:
        self.set("uid", "1000")
        self.set("installed", *[p for p in self.wanted if p not in ("meson", "ninja-build")])
        result = self.deps("build")
        self.assertEqual((result.returncode, self.calls()), (1, []))
        commands = [line for line in result.stderr.splitlines() if "sudo" in line]
        self.assertEqual(len(commands), 1)
        self.assertIn("meson ninja-build", commands[0])

    def test_ordinary_user_needs_uidmap_for_the_lab(self) -> None:
        self.assertNotIn("uidmap", self.deps("--list", "lab").stdout.split())
        self.set("uid", "1000")
        self.assertIn("uidmap", self.deps("--list", "lab").stdout.split())

    def test_unknown_group_is_a_usage_error(self) -> None:
        self.assertEqual(self.deps("build", "nonsense").returncode, 2)
        self.assertEqual(self.deps().returncode, 2)


if __name__ == "__main__":
    unittest.main()

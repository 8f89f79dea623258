# SPDX-License-Identifier: MIT
"""The launcher with real guests: statuses, failures, and that nothing is left behind.

Needs the build (PEERDMA_BUILD) and the guest image, which it builds when there is none.
"""

import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
LAUNCHER = str(ROOT / "lab" / "peerdma-lab")
# Far above what anything here takes, and below the limit of the caller.
LIMIT = 120
DEATH_SECONDS = 10
READY = b"ready\n"


def children(pid: int) -> dict[int, str]:
    """Every descendant, with its command line."""
    parents: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, todo = {}, [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            todo.append(child)
            try:
                command = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            found[child] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class LabTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        subprocess.run([LAUNCHER, "image"], check=True, stdout=subprocess.DEVNULL)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="lt-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "run").mkdir(mode=0o700)
        self.env = dict(os.environ, PEERDMA_RUN=str(self.folder / "run"))

    def run_lab(self, *args: str, **more) -> subprocess.CompletedProcess[bytes]:
        output = ["-o", str(self.folder / "out")]
        return subprocess.run(
            [LAUNCHER, "run", *output, *args],
            env=self.env,
            capture_output=True,
            timeout=LIMIT,
            check=False,
            **({"stdin": subprocess.DEVNULL} | more),
        )

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """A lab whose command has begun."""
        script = "echo ready; exec sleep 1000"
        command = [LAUNCHER, "run", "-o", str(self.folder / "out"), *args, "--", "sh", "-c", script]
        lab = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(lab.stderr.close)
        self.addCleanup(lab.stdout.close)
        self.addCleanup(lab.kill)
        self.assertEqual(lab.stdout.readline(), READY)
        return lab

    def assert_nothing_left(self, processes: dict[int, str]) -> None:
        deadline = time.monotonic() + DEATH_SECONDS
        run = self.folder / "run"
        while time.monotonic() < deadline:
            left = [c for p, c in processes.items() if alive(p)] + [p.name for p in run.iterdir()]
            if not left:
                return
            time.sleep(0.05)
        self.fail(f"left behind: {left}")

    def kill_part(self, part: str) -> tuple[int, str]:
        lab = self.start()
        processes = children(lab.pid)
        victims = [pid for pid, command in processes.items() if part in command]
        self.assertEqual(len(victims), 1, processes)
        start = time.monotonic()
        os.kill(victims[0], signal.SIGKILL)
        status = lab.wait(DEATH_SECONDS)
        self.assertLess(time.monotonic() - start, DEATH_SECONDS)
        self.assert_nothing_left(processes)
        return status, lab.stderr.read().decode()


class Status(LabTest):
    def test_false_is_1(self) -> None:
        self.assertEqual(self.run_lab("--", "false").returncode, 1)

    def test_streams_input_artefacts_and_status(self) -> None:
        script = (
            'cat; echo err >&2; echo "$NODE $PEERDMA_TOPOLOGY $PEERDMA_SLOT_ACC0"; '
            "mkdir -p /run/artefacts/d; echo kept > /run/artefacts/d/f; exit 7"
        )
        text = bytes(range(256)) * 2048
        done = self.run_lab("-t", "root-ports", "--", "sh", "-c", script, stdin=None, input=text)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertEqual(done.stdout, text + b"a root-ports 0000:02:00.0\n")
        self.assertEqual(done.stderr, b"err\n")
        out = self.folder / "out"
        self.assertEqual((out / "artefacts/a/d/f").read_text(), "kept\n")
        counters = json.loads((out / "counters.json").read_text())
        self.assertEqual(set(counters), {"a/acc0", "a/acc1", "a/disk0", "a/nic0"})
        self.assertIn("Linux version", (out / "a.kernel.log").read_text())

    def test_clock_runs_as_the_host_s(self) -> None:
        done = self.run_lab("--no-fabric", "--", "sh", "-c", "dmesg | grep 'tsc: Detected'")
        found = re.search(rb"tsc: Detected ([0-9.]+) MHz processor", done.stdout)
        assert found, (done.stdout, done.stderr)
        tool = pathlib.Path(self.env["PEERDMA_BUILD"]) / "lab/host/peerdma-tsc"
        khz = int(subprocess.run([tool], check=True, capture_output=True).stdout)
        self.assertAlmostEqual(float(found[1]) * 1000 / khz, 1, delta=0.001)

    def test_command_that_cannot_start(self) -> None:
        done = self.run_lab("--no-fabric", "--", "no-such-command")
        self.assertEqual(done.returncode, 127)
        self.assertIn(b"no-such-command", done.stderr)

    def test_kernel_warning_fails_the_run(self) -> None:
        script = 'echo "WARNING: planted" > /dev/kmsg'
        done = self.run_lab("--no-fabric", "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 123)
        self.assertIn(b"kernel warning: node a: WARNING: planted", done.stderr)

    def test_kernel_panic_ends_the_run(self) -> None:
        script = "echo c > /proc/sysrq-trigger; sleep 1000"
        done = self.run_lab("--no-fabric", "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 123)
        self.assertIn(b"Kernel panic - not syncing: sysrq triggered crash", done.stderr)

    def test_time_limit(self) -> None:
        start = time.monotonic()
        done = self.run_lab("--no-fabric", "--timeout", "3", "--", "sleep", "1000")
        self.assertEqual(done.returncode, 124)
        self.assertLess(time.monotonic() - start, 3 + DEATH_SECONDS)


class Death(LabTest):
    def test_of_qemu(self) -> None:
        status, said = self.kill_part("-name peerdma-a")
        self.assertEqual(status, 125)
        self.assertIn("QEMU of node a was killed by SIGKILL", said)

    def test_of_the_fabric(self) -> None:
        status, said = self.kill_part("peerdma-fabric --config")
        self.assertEqual(status, 125)
        self.assertIn("the fabric was killed by SIGKILL", said)

    def test_of_the_launcher(self) -> None:
        lab = self.start()
        processes = children(lab.pid)
        self.assertGreaterEqual(len(processes), 3)
        lab.kill()
        lab.wait()
        self.assert_nothing_left(processes)

    def test_ctrl_c_with_two_labs_side_by_side(self) -> None:
        one, two = self.start("--name", "one"), self.start("--name", "two", "--no-fabric")
        listing = subprocess.run([LAUNCHER, "list"], env=self.env, capture_output=True, check=True)
        names = re.findall(rb"^(one|two) ", listing.stdout, re.MULTILINE)
        self.assertEqual(names, [b"one", b"two"])
        stats = [LAUNCHER, "stats", "--lab", "one", "a/acc0"]
        answer = subprocess.run(stats, env=self.env, capture_output=True, check=True)
        self.assertEqual(set(json.loads(answer.stdout)), {"a/acc0"})
        first = children(one.pid)
        one.send_signal(signal.SIGINT)
        self.assertEqual(one.wait(DEATH_SECONDS), 130)
        self.assertTrue(all(not alive(pid) for pid in first))
        second = children(two.pid)
        self.assertIsNone(two.poll())
        self.assertGreaterEqual(len(second), 2)
        two.send_signal(signal.SIGTERM)
        self.assertEqual(two.wait(DEATH_SECONDS), 143)
        self.assert_nothing_left(first | second)


class Nodes(LabTest):
    def test_two_nodes_reach_each_other(self) -> None:
        script = "ping -q -c 1 -w 10 a && ping -q -c 1 -w 10 b >/dev/null && hostname"
        done = self.run_lab("-n", "2", "--on", "all", "--no-fabric", "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"a: a\n", done.stdout)
        self.assertIn(b"b: b\n", done.stdout)


class Shell(LabTest):
    def test_terminal(self) -> None:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(self.env)
            os.execv(LAUNCHER, [LAUNCHER, "shell", "--no-fabric"])
        said = self.talk(terminal, b"# ", b"stty size; tty; exit 9\r", b"pts/0")
        self.assertIn(b"24 80", said)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 9)
        os.close(terminal)

    def talk(self, terminal: int, prompt: bytes, line: bytes, expected: bytes) -> bytes:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        said, sent = b"", False
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                said += os.read(terminal, 4096)
            except OSError:
                break
            if not sent and prompt in said:
                os.write(terminal, line)
                sent = True
        self.assertIn(expected, said)
        return said


class GuestTests(LabTest):
    """peerdma-lab test, on tests planted here."""

    PLANTED = {
        "passes": ({"models": False}, "echo 1..1; echo 'ok 1 - fine'"),
        "fails": ({"models": False}, "exit 1"),
        "skips": ({"models": False}, "echo no device; exit 4"),
        "may_skip": ({"models": False, "required": False}, "echo no device; exit 4"),
        "warns": ({"models": False}, "echo 'WARNING: planted' > /dev/kmsg"),
        "hangs": ({"models": False, "timeout": 1}, "sleep 1000"),
    }

    def test_verdicts(self) -> None:
        folder = self.folder / "tests"
        folder.mkdir()
        for name, (about, script) in self.PLANTED.items():
            (folder / f"{name}.json").write_text(json.dumps(about))
            (folder / f"{name}.sh").write_text(script + "\n")
        output = str(self.folder / "out")
        done = subprocess.run(
            [LAUNCHER, "test", "-t", "switch", "-o", output, "--tests", str(folder)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        verdicts = re.findall(r"^(ok|not ok) \d+ - switch/(\w+)(.*)$", done.stdout, re.M)
        expected = {
            ("ok", "passes"), ("not ok", "fails"), ("not ok", "skips"), ("ok", "may_skip"),
            ("ok", "warns"), ("not ok", "warns"), ("not ok", "hangs"),
        }  # fmt: skip
        self.assertEqual({(v, n) for v, n, _ in verdicts}, expected, done.stdout)
        self.assertIn("1..7\n# 2 passed, 4 failed, 1 skipped", done.stdout)
        self.assertTrue((self.folder / "out" / "results.xml").exists())


if __name__ == "__main__":
    sys.exit(unittest.main())

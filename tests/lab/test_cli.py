# SPDX-License-Identifier: MIT
"""Arguments, command lines of QEMU, configuration of the fabric, descriptions of guest tests."""

import contextlib
import io
import json
import os
import pathlib
import tempfile
import sys
import unittest
from unittest import mock

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import cli, fabric, guesttests, probe, qemu  # noqa: E402
from peerdma_lab import registry, results, topology  # noqa: E402
from peerdma_lab.errors import LabError  # noqa: E402
from peerdma_lab.procs import describe_status  # noqa: E402


def run(*argv: str) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = cli.main(list(argv))
        except SystemExit as error:
            status = int(error.code or 0)
    return status, err.getvalue()


class Arguments(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patch = mock.patch.dict(os.environ, PEERDMA_RUN=folder.name, PEERDMA_CACHE=folder.name)
        patch.start()
        self.addCleanup(patch.stop)

    def test_wrong_ones_are_refused_with_2(self) -> None:
        wrong = {
            ("run", "-n", "0"): "0",
            ("run", "-n", "9"): "9",
            ("run", "-m", "2"): "512M or 2G",
            ("run", "-m", "0M"): "512M or 2G",
            ("run", "--timeout", "-1"): "-1",
            ("run", "--env", "1=x"): "NAME=VALUE",
            ("run", "--allow-kernel", "("): "regular expression",
            ("run", "--on", "b", "--", "true"): "no node 'b'",
            ("run", "-t", "moebius", "--", "true"): "no topology 'moebius'",
            ("shell", "-n", "2", "--on", "all"): "one node",
            ("image", "--packages", "--x;y"): "",
            ("run", "--kernel-release", "7.3", "--", "true"): "'7.3' is not the release",
            ("stats",): "no lab is running",
            ("stats", "--lab", "x"): "no lab named 'x'",
            ("nonsense",): "nonsense",
            (): "COMMAND",
        }
        for argv, said in wrong.items():
            with self.subTest(argv):
                status, text = run(*argv)
                self.assertEqual(status, 2, text)
                self.assertIn(said, text)

    def test_missing_build_is_125(self) -> None:
        status, text = run("run", "--build", "/nonexistent", "--", "true")
        self.assertEqual(status, 125)
        self.assertIn("make", text)

    def test_help_teaches(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), self.assertRaises(SystemExit):
            cli.main(["run", "--help"])
        for word in ("examples:", "exit status", "--topology", "125"):
            self.assertIn(word, out.getvalue())


def machine(tree: str, **more: object) -> qemu.Machine:
    here = pathlib.Path("/r")
    return qemu.Machine(
        name="a", names=["a"], topology=topology.load(tree), kernel=here / "k", initrd=here / "i",
        root=here / "root", agent_fd=5, console=here / "con", **more,
    )  # fmt: skip


class CommandLine(unittest.TestCase):
    def devices(self, m: qemu.Machine) -> list[dict]:
        args = qemu.arguments(m)
        places = [i for i, a in enumerate(args) if a == "-device"]
        return [json.loads(args[i + 1]) for i in places]

    def test_model(self) -> None:
        m = machine("switch-iommu", models={"acc0": pathlib.Path("/r/a.acc0.sock")})
        (model,) = [d for d in self.devices(m) if d["driver"] == "vfio-user-pci"]
        socket = {"type": "unix", "path": "/r/a.acc0.sock"}
        self.assertEqual(model["socket"], socket)
        self.assertEqual((model["bus"], model["rombar"], model["id"]), ("dn1", 0, "acc0"))

    def test_iommu_comes_before_every_device(self) -> None:
        with_iommu = self.devices(machine("root-ports-iommu"))
        self.assertEqual(with_iommu[0]["driver"], "intel-iommu")
        self.assertTrue(with_iommu[0]["caching-mode"])
        without = self.devices(machine("root-ports"))
        self.assertNotIn("intel-iommu", [d["driver"] for d in without])

    def test_bar_files_without_iommu(self) -> None:
        self.assertIn("iomem=relaxed", qemu.kernel_command_line(machine("switch")))
        self.assertNotIn("iomem=relaxed", qemu.kernel_command_line(machine("switch-iommu")))

    def test_memory_is_shared(self) -> None:
        args = " ".join(qemu.arguments(machine("switch", memory_mib=512)))
        self.assertIn("memory-backend-memfd,id=ram,size=512M,share=on", args)

    def test_addresses_on_the_root_bus_are_different(self) -> None:
        m = machine("switch", net_fds=[7], shares=[qemu.Share("build", pathlib.Path("/b,c"))])
        places = [d["addr"] for d in self.devices(m) if d.get("bus") == "pcie.0"]
        self.assertEqual(len(places), len(set(places)))
        self.assertIn("path=/b,,c", " ".join(qemu.arguments(m)))


class FabricConfig(unittest.TestCase):
    def test_slots_with_models(self) -> None:
        tree = topology.load("switch-iommu")
        data = fabric.config(pathlib.Path("/r"), tree, ["a", "b"], {"accel"}, "64M", [])
        self.assertEqual([n["name"] for n in data["nodes"]], ["a", "b"])
        devices = data["nodes"][1]["devices"]
        self.assertEqual([d["name"] for d in devices], ["acc0", "acc1"])
        self.assertEqual({d["switch"] for d in devices}, {"sw0"})
        self.assertEqual({d["vram"] for d in devices}, {"64M"})
        roots = fabric.config(
            pathlib.Path("/r"), topology.load("root-ports"), ["a"], {"accel", "nic"}, "64M", []
        )
        self.assertTrue(all("switch" not in d for d in roots["nodes"][0]["devices"]))
        self.assertEqual(len(roots["nodes"][0]["devices"]), 3)

    def test_links(self) -> None:
        tree = topology.load("switch")
        links = fabric.default_links(tree, ["a", "b"], {"accel", "nic"})
        expected = [["a/acc0", "a/acc1"], ["b/acc0", "b/acc1"], ["a/nic0", "b/nic0"]]
        self.assertEqual(links, expected)


class GuestTests(unittest.TestCase):
    def refuse(self, data: object, said: str) -> None:
        with self.assertRaisesRegex(LabError, said):
            guesttests.parse("t", data, ("/t",))

    def test_defaults(self) -> None:
        test = guesttests.parse("t", {}, ("/t",))
        self.assertEqual(set(topology.names()) - set(test.topologies), {"root-ports-refused"})
        self.assertTrue(test.required)

    def test_all(self) -> None:
        test = guesttests.parse("t", {"topologies": ["all"]}, ("/t",))
        self.assertEqual(list(test.topologies), topology.names())

    def test_mistakes(self) -> None:
        self.refuse([], "not an object")
        self.refuse({"time_out": 3}, "unknown key 'time_out'")
        self.refuse({"timeout": "3"}, "not of type int")
        self.refuse({"topologies": ["moebius"]}, "no topology 'moebius'")
        self.refuse({"on": "b"}, "names no node")
        self.refuse({"allow_kernel": ["("]}, "no regular expression")
        self.refuse({"args": [1]}, "other than strings")
        self.refuse({"vram": "much"}, "no size such as")
        self.refuse({"disk": "floppy"}, "none of model, legacy, qemu")

    def test_groups_share_a_lab(self) -> None:
        tests = [
            guesttests.parse("x", {"topologies": ["switch"]}, ("/x",)),
            guesttests.parse("y", {"topologies": ["switch", "root-ports"]}, ("/y",)),
            guesttests.parse("z", {"topologies": ["switch"], "nodes": 2}, ("/z",)),
            guesttests.parse("v", {"topologies": ["switch"], "vram": "512M"}, ("/v",)),
            guesttests.parse("d", {"topologies": ["switch"], "disk": "legacy"}, ("/d",)),
        ]
        made = {g.name: [t.name for t in g.tests] for g in guesttests.groups(tests, None)}
        self.assertEqual(
            made,
            {
                "root-ports": ["y"],
                "switch": ["x", "y"],
                "switch-2": ["z"],
                "switch-512M": ["v"],
                "switch-legacy": ["d"],
            },
        )


class SmallThings(unittest.TestCase):
    def test_qemu_version(self) -> None:
        self.assertEqual(probe.parse_version("QEMU emulator version 11.1.3 (Deb)"), (11, 1, 3))
        self.assertIsNone(probe.parse_version("no"))

    def test_rate_of_the_clock(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "tsc"

            def args(script: str) -> list[str]:
                program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
                program.chmod(0o755)
                return probe.clock_args(program)

            self.assertEqual(probe.clock_args(program), [])
            self.assertEqual(args("echo 2596094"), ["tsc_early_khz=2596094"])
            for bad in ("echo 2596094; exit 1", "exit 0", "echo 2.5e6", "echo -1", "echo 1 quiet"):
                self.assertEqual(args(bad), [], bad)

    def test_status_words(self) -> None:
        self.assertEqual(describe_status(-9), "was killed by SIGKILL")
        self.assertEqual(describe_status(3), "exited with status 3")

    def test_archive_of_a_guest_stays_below(self) -> None:
        import tarfile

        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name in ("./good/file", "../up", "/root/abs"):
                member = tarfile.TarInfo(name)
                member.size = 2
                tar.addfile(member, io.BytesIO(b"hi"))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "t"
            self.assertEqual(results.unpack(data.getvalue(), target), 1)
            found = [p.name for p in pathlib.Path(folder).rglob("*") if not p.is_dir()]
        self.assertEqual(found, ["file"])

    def test_registry_forgets_the_dead(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.dict(os.environ, PEERDMA_RUN=folder):
                path = registry.make("x")
                registry.describe(path, topology="switch", nodes=["a"])
                self.assertEqual([lab.name for lab in registry.running()], ["x"])
                with self.assertRaisesRegex(LabError, "running already"):
                    registry.make("x")
                info = json.loads((path / "lab.json").read_text(encoding="utf-8"))
                info["start_time"] += 1
                (path / "lab.json").write_text(json.dumps(info), encoding="utf-8")
                self.assertEqual(registry.running(), [])
                registry.make("x")


if __name__ == "__main__":
    unittest.main()

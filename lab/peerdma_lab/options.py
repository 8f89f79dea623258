# SPDX-License-Identifier: MIT
"""The options of peerdma-lab, and what they teach."""

import argparse
from collections.abc import Callable

from . import disks, values

DEFAULT_TOPOLOGY = "switch-iommu"
DEFAULT_TIMEOUT = 600.0
DESCRIPTION = (
    "Boots virtual machines with models of PCIe devices that do peer-to-peer DMA, and runs "
    "commands in them."
)
EPILOG = """\
exit status of run and shell:
  that of the command; 127 not found, 126 not executable, 128+N killed by signal N
  123  a guest kernel reported a warning, whatever the command returned
  124  the time limit is over
  125  the lab itself failed: a model or QEMU died, the guest did not come up
  130  interrupted by Ctrl-C
test: 0 when no test failed, else 1. All: 2 for wrong options.

examples:
  peerdma-lab run -- lspci -tv
  peerdma-lab run -t root-ports-iommu -n 2 --on all -- ip addr
  peerdma-lab shell
  peerdma-lab test 'vfio_*'

environment: PEERDMA_CACHE, PEERDMA_BUILD, PEERDMA_FABRIC, PEERDMA_RUN, PEERDMA_MIRROR,
  PEERDMA_KERNEL_RELEASE
"""

Handler = Callable[[argparse.Namespace], int]
# Name of an option, how it is written in a help text, and argparse's own keywords.
Option = tuple[tuple[str, ...], str, dict]

IMAGE: list[Option] = [
    (("--cache",), "where images are kept (default: $XDG_CACHE_HOME/peerdma)", {"metavar": "DIR"}),
    (
        ("--packages",),
        "more Debian packages, separated by commas; another list is another image",
        {"metavar": "LIST", "default": ""},
    ),
    (("--mirror",), "Debian mirror to build from", {"metavar": "URL"}),
    (
        ("--kernel-release",),
        "Debian's kernel of that release, such as 7.3.4+deb13-amd64; another one is another image",
        {"metavar": "RELEASE"},
    ),
]
NODE: list[Option] = [
    (
        ("-t", "--topology"),
        f"PCIe tree of a node; 'topologies' lists them (default: {DEFAULT_TOPOLOGY})",
        {"default": DEFAULT_TOPOLOGY},
    ),
    (("-n", "--nodes"), "nodes a, b, ... (default: 1)", {"type": values.nodes, "default": 1}),
    (
        ("-m", "--memory"),
        "memory of a node (default: 2G)",
        {"type": values.size_mib, "default": 2048, "metavar": "SIZE"},
    ),
    (
        ("--cpus",),
        "processors of a node (default: 2 in a lab of one, else 1)",
        {"type": values.number(1, 16), "metavar": "N"},
    ),
    (("--cpu",), "QEMU's CPU model instead of the topology's", {"metavar": "MODEL"}),
    (
        ("--accel",),
        "tcg emulates; kvm where asked for; auto takes kvm if a probe boot proves it "
        "(default: tcg)",
        {"choices": ("tcg", "kvm", "auto"), "default": "tcg"},
    ),
    (
        ("--vram",),
        "memory of an accelerator (default: 256M)",
        {"type": values.size_text, "default": "256M", "metavar": "SIZE"},
    ),
    (
        ("--disk",),
        "what is in the disk slot: the fabric's NVMe model; the same with a controller memory "
        "buffer as before NVMe 1.4; QEMU's own (default: model)",
        {"choices": disks.KINDS, "default": "model"},
    ),
    (
        ("--disk-size",),
        f"namespaces of the model, SIZE[:BLOCK] each (default: {disks.DEFAULT_SIZES})",
        {"type": values.namespaces, "default": disks.DEFAULT_SIZES, "metavar": "LIST"},
    ),
    (
        ("--disk-dir",),
        "keep the disks' files there, and use those that are there already",
        {"metavar": "DIR"},
    ),
    (
        ("--modules",),
        "kernel modules to load in every node, separated by commas",
        {"type": values.words, "metavar": "LIST", "default": []},
    ),
    (
        ("--no-bind",),
        "leave the accelerators without driver instead of binding vfio-pci",
        {"action": "store_true"},
    ),
    (
        ("--kernel-arg",),
        "add to the kernel command line (repeatable)",
        {"action": "append", "default": [], "metavar": "ARG"},
    ),
    (
        ("--qemu-arg",),
        "add to QEMU's command line (repeatable)",
        {"action": "append", "default": [], "metavar": "ARG"},
    ),
]
LAB: list[Option] = [
    (
        ("--build",),
        "build directory, /peerdma/build in the guest (default: build)",
        {"metavar": "DIR"},
    ),
    (
        ("--fabric",),
        "fabric program (default: models/fabric/peerdma-fabric of the build)",
        {"metavar": "PATH"},
    ),
    (
        ("--fabric-log",),
        "what the models tell in fabric.log (default: info)",
        {"choices": ("error", "warn", "info", "debug"), "default": "info"},
    ),
    (
        ("--no-fabric",),
        "a lab without models; only QEMU's own devices",
        {"action": "store_true"},
    ),
    (
        ("--qemu",),
        "QEMU 10.1.1 or later of the host instead of the image's",
        {"metavar": "PATH"},
    ),
    (
        ("--kernel",),
        "kernel of the host instead of the image's; needs its config and modules",
        {"metavar": "PATH"},
    ),
    (
        ("--allow-kernel",),
        "kernel messages that are no failure (repeatable)",
        {"action": "append", "default": [], "type": values.pattern, "metavar": "REGEX"},
    ),
    (("--name",), "name of the lab for 'stats' and 'fault' (default: lab and a number)", {}),
    (
        ("--timeout",),
        f"time limit with the boot, 0 for none (default: {DEFAULT_TIMEOUT:g}; shell: none)",
        {"type": values.seconds, "metavar": "SECONDS"},
    ),
    (
        ("-o", "--output"),
        "keep logs, counters and the files of /run/artefacts there",
        {"metavar": "DIR"},
    ),
    (
        ("--env",),
        "environment of the command (repeatable)",
        {"action": "append", "default": [], "type": values.variable, "metavar": "NAME=VALUE"},
    ),
]
ON: Option = (
    ("--on",),
    "node to run in; run also knows 'all' (default: a)",
    {"default": "a", "metavar": "NODE"},
)
WHICH: Option = (("--lab",), "which lab, when several run", {"metavar": "NAME"})


def _add(parser: argparse.ArgumentParser, options: list[Option], title: str = "") -> None:
    group = parser.add_argument_group(title) if title else parser
    for names, text, keywords in options:
        group.add_argument(*names, help=text, **keywords)


def _add_lab(parser: argparse.ArgumentParser) -> None:
    _add(parser, IMAGE, "image")
    _add(parser, NODE, "nodes")
    _add(parser, LAB, "lab")


class Builder:
    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers
        self.parser = self._make(
            argparse.ArgumentParser, prog="peerdma-lab", description=DESCRIPTION
        )
        self._commands = self.parser.add_subparsers(dest="what", metavar="COMMAND", required=True)

    @staticmethod
    def _make(factory: Callable, *args: str, **keywords: str) -> argparse.ArgumentParser:
        formatter = argparse.RawDescriptionHelpFormatter
        return factory(*args, epilog=EPILOG, formatter_class=formatter, **keywords)

    def command(self, name: str, text: str) -> argparse.ArgumentParser:
        made = self._make(self._commands.add_parser, name, help=text, description=text)
        made.set_defaults(do=self._handlers[name])
        return made

    def image(self) -> None:
        p = self.command("image", "build the guest image, or show where it is")
        _add(p, IMAGE)
        p.add_argument("--rebuild", action="store_true", help="build again in any case")
        p.add_argument("--prune", action="store_true", help="remove images of other recipes")

    def kbuild(self) -> None:
        p = self.command("kbuild", "build the kernel modules for the image's kernel")
        _add(p, IMAGE)
        p.add_argument("--build", metavar="DIR", help="build directory, modules go to DIR/kernel")
        text = "run compilers and checkers over them instead (kernel/check.sh)"
        p.add_argument("--check", action="store_true", help=text)

    def run(self) -> None:
        p = self.command("run", "boot a lab and run a command in it")
        _add_lab(p)
        _add(p, [ON])
        p.add_argument("--cwd", default="", metavar="DIR", help="directory in the guest to run in")
        p.add_argument("--no-stdin", action="store_true", help="an empty standard input")
        p.add_argument("command", nargs="*", metavar="COMMAND", help="default: uname -a")

    def shell(self) -> None:
        p = self.command("shell", "boot a lab and open a shell in it")
        _add_lab(p)
        _add(p, [ON])
        p.add_argument("command", nargs="*", metavar="COMMAND", help="instead of a login shell")

    def test(self) -> None:
        p = self.command("test", "run the guest tests and print TAP")
        _add_lab(p)
        p.set_defaults(topology=None)
        jobs = values.number(1, 64)
        p.add_argument("-j", "--jobs", type=jobs, default=1, help="labs at once (default: 1)")
        p.add_argument("--list", action="store_true", help="list the tests, run nothing")
        p.add_argument("--worker", help=argparse.SUPPRESS)
        p.add_argument("--tests", metavar="DIR", help="their folder (default: tests/guest)")
        p.add_argument("patterns", nargs="*", metavar="PATTERN", help="such as 'vfio_*'")

    def demo(self) -> None:
        p = self.command("demo", "device memory over RDMA between two nodes, under a stock kernel")
        _add_lab(p)
        p.set_defaults(topology=None)

    def running(self) -> None:
        p = self.command("topologies", "list the topologies and the addresses of their slots")
        p.add_argument("--svg", metavar="DIR", help="draw them there instead (needs graphviz)")
        self.command("list", "list running labs")
        p = self.command("stats", "print the counters of a running lab as JSON")
        _add(p, [WHICH])
        p.add_argument("--reset", action="store_true", help="set the counters to zero instead")
        p.add_argument("device", nargs="?", help="one device, such as a/acc0")

    def fault(self) -> None:
        p = self.command("fault", "arm a fault in a running lab, or list what there is")
        _add(p, [WHICH])
        p.add_argument("device", nargs="?", help="such as a/acc0")
        p.add_argument("point", nargs="?", help="such as dma.peer.write")
        actions = "drop, corrupt, delay, error, dup, reorder, stall, none"
        p.add_argument("action", nargs="?", help=actions)
        about = {
            "arg": "argument of the action",
            "after": "spare the first N",
            "count": "hit N, then stop",
            "permille": "hit N of 1000",
        }
        for name, text in about.items():
            p.add_argument(f"--{name}", type=int, metavar="N", help=text)


def parser(handlers: dict[str, Handler]) -> argparse.ArgumentParser:
    builder = Builder(handlers)
    builder.image()
    builder.kbuild()
    for add in (builder.run, builder.shell, builder.test, builder.demo):
        add()
    builder.running()
    builder.fault()
    return builder.parser

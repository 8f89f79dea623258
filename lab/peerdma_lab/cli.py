# SPDX-License-Identifier: MIT
"""The command line of peerdma-lab."""

import argparse
import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path

from . import (
    fabric,
    guesttests,
    hosttree,
    image,
    node,
    paths,
    recipe,
    registry,
    testcmd,
    testrun,
    topology,
)
from .errors import EXIT_USAGE, LabError
from .lab import NODES_MAX, Options
from .qemu import Share
from .run import Command, run_command, run_lab, run_shell, say

DEFAULT_TOPOLOGY = "switch-iommu"
DEFAULT_TIMEOUT = 600.0

EPILOG = """\
exit status of run, shell and test:
  that of the command; 127 not found, 126 not executable, 128+N killed by signal N
  123  a guest kernel reported a warning, whatever the command returned
  124  the time limit is over
  125  the lab itself failed: a model or QEMU died, the guest did not come up
  130  interrupted by Ctrl-C

examples:
  peerdma-lab run -- lspci -tv
  peerdma-lab run -t root-ports-iommu -n 2 --on all -- ip addr
  peerdma-lab shell
  peerdma-lab test 'vfio_*'

environment: PEERDMA_CACHE, PEERDMA_BUILD, PEERDMA_FABRIC, PEERDMA_RUN, PEERDMA_MIRROR
"""


def size_mib(text: str) -> int:
    match = re.fullmatch(r"(\d+)([MG])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 512M or 2G")
    return int(match.group(1)) * (1024 if match.group(2) == "G" else 1)


def size_text(text: str) -> str:
    if not re.fullmatch(r"\d+[KMG]?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 256M")
    return text


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e7:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds (0: no limit)")
    return value


def variable(text: str) -> tuple[str, str]:
    name, sep, value = text.partition("=")
    if not sep or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def pattern(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None


def nodes(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= NODES_MAX:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of nodes from 1 to {NODES_MAX}")
    return int(text)


def _add_image_options(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("image")
    g.add_argument("--cache", metavar="DIR", help="where images are kept (default: $XDG_CACHE_HOME/peerdma)")
    g.add_argument("--packages", metavar="LIST", default="", help="more Debian packages, separated by commas; another list is another image")
    g.add_argument("--mirror", metavar="URL", help="Debian mirror to build from")


def _add_lab_options(p: argparse.ArgumentParser) -> None:
    _add_image_options(p)
    g = p.add_argument_group("lab")
    g.add_argument("-t", "--topology", default=DEFAULT_TOPOLOGY, help=f"PCIe tree of a node; 'topologies' shows them (default: {DEFAULT_TOPOLOGY})")
    g.add_argument("-n", "--nodes", type=nodes, default=1, help="number of nodes: a, b, ... (default: 1)")
    g.add_argument("-m", "--memory", type=size_mib, default=2048, metavar="SIZE", help="memory of a node (default: 2G)")
    g.add_argument("--cpus", type=int, choices=range(1, 17), metavar="N", help="processors of a node (default: 2 in a lab of one, else 1)")
    g.add_argument("--cpu", metavar="MODEL", help="QEMU's CPU model instead of the topology's")
    g.add_argument("--accel", choices=("tcg", "kvm"), default="tcg", help="kvm only where it is known to work (default: tcg)")
    g.add_argument("--vram", type=size_text, default="256M", metavar="SIZE", help="memory of an accelerator (default: 256M)")
    g.add_argument("--build", metavar="DIR", help="build directory, seen in the guest as /peerdma/build (default: build)")
    g.add_argument("--fabric", metavar="PATH", help="the fabric program (default: models/fabric/peerdma-fabric in the build directory)")
    g.add_argument("--fabric-log", choices=("error", "warn", "info", "debug"), default="info", help="what the models tell in fabric.log")
    g.add_argument("--no-fabric", action="store_true", help="a lab without models; only QEMU's own devices")
    g.add_argument("--no-bind", action="store_true", help="leave the accelerators without driver instead of binding vfio-pci")
    g.add_argument("--modules", metavar="LIST", default="", help="kernel modules to load in every node, separated by commas")
    g.add_argument("--kernel-arg", action="append", default=[], metavar="ARG", help="add to the kernel command line (repeatable)")
    g.add_argument("--qemu-arg", action="append", default=[], metavar="ARG", help="add to QEMU's command line (repeatable)")
    g.add_argument("--allow-kernel", action="append", default=[], type=pattern, metavar="REGEX", help="kernel messages that are no failure (repeatable)")
    g.add_argument("--name", help="name of the lab for 'stats' and 'fault' (default: lab and a number)")
    g.add_argument("--timeout", type=seconds, metavar="SECONDS", help=f"time limit including the boot, 0 for none (default: {DEFAULT_TIMEOUT:g}; none for shell)")
    g.add_argument("-o", "--output", metavar="DIR", help="keep logs, counters and the files of /run/artefacts there")
    g.add_argument("--env", action="append", default=[], type=variable, metavar="NAME=VALUE", help="environment of the command (repeatable)")


def _image(args: argparse.Namespace) -> image.Image:
    wanted = recipe.load_recipe(recipe.parse_packages(args.packages))
    return image.ensure(paths.cache_dir(args.cache), wanted, args.mirror)


def _fabric(args: argparse.Namespace, build: Path) -> Path | None:
    if args.no_fabric:
        return None
    named = args.fabric or os.environ.get("PEERDMA_FABRIC")
    path = Path(named) if named else build / "models/fabric/peerdma-fabric"
    if not os.access(path, os.X_OK):
        raise LabError(f"there is no fabric at {path}", "build first ('make'), or run with --no-fabric")
    return path


def _options(args: argparse.Namespace) -> Options:
    tree = topology.load(args.topology)
    build = paths.build_dir(args.build)
    if not build.is_dir():
        raise LabError(f"there is no build directory {build}", "build first: 'make'; or name another with --build")
    models = _fabric(args, build)
    files = _image(args)
    return Options(
        topology=tree,
        program=node.program_of(files.tree),
        kernel=files.kernel,
        early=files.early,
        root=files.root,
        guest_init=build / "lab/guest/peerdma-guest",
        nodes=args.nodes,
        fabric=models,
        fabric_log=args.fabric_log,
        vram=args.vram,
        memory_mib=args.memory,
        cpus=args.cpus,
        accel=args.accel,
        cpu=args.cpu,
        name=args.name,
        shares=[Share("build", build), Share("source", paths.SOURCE)],
        kernel_args=args.kernel_arg,
        qemu_args=args.qemu_arg,
        allowed=tuple(args.allow_kernel),
        modules=[m for m in re.split(r"[,\s]+", args.modules) if m],
        bind=not args.no_bind,
    )


def _limit(args: argparse.Namespace, default: float) -> float | None:
    limit = default if args.timeout is None else args.timeout
    return limit or None


def cmd_run(args: argparse.Namespace) -> int:
    options = _options(args)
    names = [chr(ord("a") + i) for i in range(args.nodes)]
    on = names if args.on == "all" else [args.on]
    if args.on != "all" and args.on not in names:
        raise LabError(f"the lab has no node '{args.on}'", f"it has {', '.join(names)}", EXIT_USAGE)
    argv = args.command or ["uname", "-a"]
    command = Command(argv, on, dict(args.env), args.cwd, not args.no_stdin and not sys.stdin.isatty())
    output = Path(args.output) if args.output else None
    return run_lab(options, lambda lab: run_command(lab, command), paths.cache_dir(args.cache), _limit(args, DEFAULT_TIMEOUT), output)


def cmd_shell(args: argparse.Namespace) -> int:
    options = _options(args)
    say(f"booting {args.topology}; leave with 'exit' or Ctrl-D")
    argv = args.command or ["bash", "-l"]

    async def body(lab):  # noqa: ANN001, ANN202
        if args.on not in lab.nodes:
            raise LabError(f"the lab has no node '{args.on}'", status=EXIT_USAGE)
        return await run_shell(lab, lab.nodes[args.on], argv, dict(args.env))

    output = Path(args.output) if args.output else None
    return run_lab(options, body, paths.cache_dir(args.cache), _limit(args, 0), output)


def cmd_test(args: argparse.Namespace) -> int:
    build = paths.build_dir(args.build)
    tests = guesttests.discover(paths.SOURCE / "tests/guest", build, args.patterns)
    if not tests:
        raise LabError("no guest test has such a name", "'peerdma-lab test --list' shows all")
    groups = guesttests.groups(tests, args.topology)
    if args.list:
        for test in tests:
            print(f"{test.name:32} {' '.join(test.topologies)}  {test.summary}")
        return 0
    output = Path(args.output).absolute() if args.output else build / "test-results"
    if args.worker:
        return _run_worker(args, groups, output)
    _image(args)
    return testcmd.run_tests(groups, args.argv, args.jobs, output)


def _run_worker(args: argparse.Namespace, groups: list[guesttests.Group], output: Path) -> int:
    name, _, number = args.worker.partition(":")
    group = next(g for g in groups if g.topology == name and str(g.nodes) == number)
    args.topology, args.nodes = name, int(number)
    args.no_fabric = args.no_fabric or not any(t.models for t in group.tests)
    testrun.run_group(_options(args), group, testcmd.send, output)
    return 0


def cmd_image(args: argparse.Namespace) -> int:
    cache = paths.cache_dir(args.cache)
    wanted = recipe.load_recipe(recipe.parse_packages(args.packages))
    made = image.ensure(cache, wanted, args.mirror, args.rebuild)
    if args.prune:
        for name in image.remove_others(cache, wanted):
            say(f"removed image {name}")
    print(f"image   {made.path}\nkernel  {made.release}\nqemu    {' '.join(hosttree.command(made.tree, hosttree.QEMU))}")
    return 0


def cmd_topologies(_: argparse.Namespace) -> int:
    for name in topology.names():
        t = topology.load(name)
        print(f"{name:18} {t.summary}")
        for slot, address in t.addresses().items():
            print(f"  {slot:16} {address}")
    return 0


def cmd_list(_: argparse.Namespace) -> int:
    registry.remove_stale()
    labs = registry.running()
    if labs:
        print(f"{'NAME':20} {'PID':>8} {'AGE':>7}  {'TOPOLOGY':18} NODES")
    for lab in labs:
        age = int(time.time() - lab.info["started"])
        print(f"{lab.name:20} {lab.info['pid']:>8} {age:>5} s  {lab.info['topology']:18} {' '.join(lab.info['nodes'])}")
    return 0


def _ask(args: argparse.Namespace, **request: object) -> dict:
    lab = registry.choose(args.lab)
    return asyncio.run(fabric.ask(lab.control, **request))


def cmd_stats(args: argparse.Namespace) -> int:
    request = {"device": args.device} if args.device else {}
    if args.reset:
        _ask(args, cmd="counters_reset", **request)
        return 0
    print(json.dumps(_ask(args, cmd="counters", **request)["counters"], indent=2, sort_keys=True))
    return 0


def cmd_fault(args: argparse.Namespace) -> int:
    if not args.device:
        answer = _ask(args, cmd="faults")
        print(json.dumps({k: v for k, v in answer.items() if k != "ok"}, indent=2))
        return 0
    if not args.point or not args.action:
        raise LabError("a fault needs DEVICE POINT ACTION", "'peerdma-lab fault' alone lists devices and points", EXIT_USAGE)
    request = {"device": args.device, "point": args.point, "action": args.action}
    request |= {k: getattr(args, k) for k in ("arg", "after", "count", "permille") if getattr(args, k) is not None}
    _ask(args, cmd="fault", **request)
    return 0


def parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    p = argparse.ArgumentParser(
        prog="peerdma-lab",
        description="Boots virtual machines with models of PCIe devices that do peer-to-peer DMA, and runs commands in them.",
        epilog=EPILOG,
        formatter_class=formatter,
    )
    commands = p.add_subparsers(dest="what", metavar="COMMAND", required=True)

    one = commands.add_parser("image", help="build the guest image, or show where it is")
    _add_image_options(one)
    one.add_argument("--rebuild", action="store_true", help="build again although the recipe is the same")
    one.add_argument("--prune", action="store_true", help="remove images of other recipes")
    one.set_defaults(do=cmd_image)

    one = commands.add_parser("run", help="boot a lab and run a command in it", epilog=EPILOG, formatter_class=formatter)
    _add_lab_options(one)
    one.add_argument("--on", default="a", metavar="NODE", help="node to run in, or 'all' (default: a)")
    one.add_argument("--cwd", default="", metavar="DIR", help="directory in the guest to run in")
    one.add_argument("--no-stdin", action="store_true", help="give the command an empty standard input")
    one.add_argument("command", nargs="*", metavar="COMMAND", help="command and arguments (default: uname -a)")
    one.set_defaults(do=cmd_run)

    one = commands.add_parser(
        "test", help="run the guest tests, print TAP", epilog=EPILOG, formatter_class=formatter
    )
    _add_lab_options(one)
    one.set_defaults(topology=None)
    one.add_argument("-j", "--jobs", type=int, default=1, help="labs at the same time (default: 1)")
    one.add_argument("--list", action="store_true", help="list the tests, run nothing")
    one.add_argument("--worker", help=argparse.SUPPRESS)
    one.add_argument("patterns", nargs="*", metavar="PATTERN", help="such as 'vfio_*' (default: all)")
    one.set_defaults(do=cmd_test)

    one = commands.add_parser("shell", help="boot a lab and open a shell in it")
    _add_lab_options(one)
    one.add_argument("--on", default="a", metavar="NODE", help="node to open the shell in (default: a)")
    one.add_argument("command", nargs="*", metavar="COMMAND", help="instead of a login shell")
    one.set_defaults(do=cmd_shell)

    commands.add_parser("topologies", help="list the topologies and the addresses of their slots").set_defaults(do=cmd_topologies)
    commands.add_parser("list", help="list running labs").set_defaults(do=cmd_list)

    one = commands.add_parser("stats", help="print the counters of a running lab as JSON")
    one.add_argument("--lab", metavar="NAME", help="which lab, when several run")
    one.add_argument("--reset", action="store_true", help="set the counters to zero instead")
    one.add_argument("device", nargs="?", help="one device, such as a/acc0")
    one.set_defaults(do=cmd_stats)

    one = commands.add_parser("fault", help="arm a fault in a running lab, or list what there is")
    one.add_argument("--lab", metavar="NAME", help="which lab, when several run")
    one.add_argument("device", nargs="?", help="such as a/acc0")
    one.add_argument("point", nargs="?", help="such as dma.peer.write")
    one.add_argument("action", nargs="?", help="drop, corrupt, delay, error, dup, reorder, stall, none")
    for name, text in (("arg", "argument of the action"), ("after", "spare the first N"), ("count", "hit N, then stop"), ("permille", "hit N of 1000")):
        one.add_argument(f"--{name}", type=int, metavar="N", help=text)
    one.set_defaults(do=cmd_fault)
    return p


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(argv)
    args.argv = argv
    try:
        return args.do(args)
    except LabError as error:
        say(error.text())
        return error.status
    except KeyboardInterrupt:
        return 130

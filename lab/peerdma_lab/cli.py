# SPDX-License-Identifier: MIT
"""The commands of peerdma-lab."""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

from . import demo, fabric, guesttests, hosttree, image, kbuild, options, paths, picture
from . import registry, setup, testcmd, testrun, topology
from .errors import EXIT_USAGE, LabError
from .guesttests import Group
from .lab import Lab
from .qemu import Share
from .run import Command, run_command, run_lab, run_shell, say


def _limit(args: argparse.Namespace, default: float) -> float | None:
    return (default if args.timeout is None else args.timeout) or None


def _output(args: argparse.Namespace) -> Path | None:
    return Path(args.output).absolute() if args.output else None


def _nodes_on(args: argparse.Namespace) -> list[str]:
    names = [chr(ord("a") + i) for i in range(args.nodes)]
    if args.on == "all":
        return names
    if args.on not in names:
        known = ", ".join(names)
        raise LabError(f"the lab has no node '{args.on}'", f"it has {known}", EXIT_USAGE)
    return [args.on]


def _run(args: argparse.Namespace, command: Command, output: Path | None) -> int:
    return run_lab(
        setup.options(args),
        lambda lab: run_command(lab, command),
        paths.cache_dir(args.cache),
        _limit(args, options.DEFAULT_TIMEOUT),
        output,
    )


def cmd_run(args: argparse.Namespace) -> int:
    forward = not args.no_stdin and not sys.stdin.isatty()
    argv = args.command or ["uname", "-a"]
    command = Command(argv, _nodes_on(args), dict(args.env), args.cwd, forward)
    return _run(args, command, _output(args))


def cmd_shell(args: argparse.Namespace) -> int:
    if len(_nodes_on(args)) != 1:
        raise LabError("a shell runs in one node", status=EXIT_USAGE)
    made = setup.options(args)
    say(f"booting {args.topology}; leave with 'exit' or Ctrl-D")
    argv = args.command or ["bash", "-l"]

    async def body(lab: Lab) -> int:
        return await run_shell(lab, lab.nodes[args.on], argv, dict(args.env))

    return run_lab(made, body, paths.cache_dir(args.cache), _limit(args, 0), _output(args))


def cmd_demo(args: argparse.Namespace) -> int:
    paths.need_source("the demonstration")
    args.topology = args.topology or options.DEFAULT_TOPOLOGY
    args.nodes = len(demo.NODES)
    demo.refuse(topology.load(args.topology))
    output = _output(args) or paths.build_dir(args.build) / "demo"
    env = {**demo.environment(), **dict(args.env)}
    command = Command(demo.COMMAND, demo.NODES, env, forward_input=False)
    return _run(args, command, output) or demo.show(output)


def _tests_folder(args: argparse.Namespace) -> Path:
    if not args.tests:
        paths.need_source("testing without --tests")
    return Path(args.tests).absolute() if args.tests else paths.SOURCE / "tests/guest"


def cmd_test(args: argparse.Namespace) -> int:
    build = paths.build_dir(args.build)
    folder = _tests_folder(args)
    tests = guesttests.discover(folder, build, args.patterns)
    if not tests:
        raise LabError("no guest test has such a name", "'peerdma-lab test --list' shows all")
    if args.list:
        for test in tests:
            print(f"{test.name:32} {' '.join(test.topologies)}  {test.summary}")
        return 0
    groups = guesttests.groups(tests, args.topology)
    output = _output(args) or build / "test-results"
    if args.worker:
        return _work(args, groups, output)
    setup.get_image(args)
    return testcmd.run_tests(groups, args.argv, args.jobs, output)


def _work(args: argparse.Namespace, groups: list[Group], output: Path) -> int:
    group = next(g for g in groups if g.name == args.worker)
    args.topology, args.nodes = group.topology, group.nodes
    args.vram = group.vram or args.vram
    args.disk = group.disk or args.disk
    args.no_fabric = args.no_fabric or not any(t.models for t in group.tests)
    args.name = f"{args.name}-{group.name}"[:24] if args.name else None
    made = setup.options(args)
    made.shares.append(Share("tests", _tests_folder(args)))
    testrun.run_group(made, group, testcmd.send, output)
    return 0


def cmd_image(args: argparse.Namespace) -> int:
    cache = paths.cache_dir(args.cache)
    wanted = setup.get_recipe(args)
    made = image.ensure(cache, wanted, args.mirror, args.rebuild)
    if args.prune:
        for name in image.remove_others(cache, wanted):
            say(f"removed image {name}")
    program = " ".join(hosttree.command(made.tree, hosttree.QEMU))
    print(f"image   {made.path}\nkernel  {made.release}\nqemu    {program}")
    return 0


def cmd_kbuild(args: argparse.Namespace) -> int:
    paths.need_source("building modules")
    cache, build = paths.cache_dir(args.cache), paths.build_dir(args.build)
    release = setup.get_image(args).release
    tree = kbuild.ensure(cache, setup.get_recipe(args), release, args.mirror, args.check)
    if args.check:
        kbuild.check(tree, release, paths.SOURCE, build / "kernel-check")
    else:
        out = paths.kernel_modules(build, setup.kernel_release(args))
        kbuild.build(tree, release, paths.SOURCE, out)
    return 0


def cmd_topologies(args: argparse.Namespace) -> int:
    trees = [topology.load(name) for name in topology.names()]
    if args.svg:
        picture.write_all(trees, Path(args.svg))
        return 0
    for tree in trees:
        print(f"{tree.name:18} {tree.summary}")
        for slot, address in tree.addresses().items():
            print(f"  {slot:16} {address}")
    return 0


def cmd_list(_: argparse.Namespace) -> int:
    registry.remove_stale()
    labs = registry.running()
    if labs:
        print(f"{'NAME':24} {'PID':>8} {'AGE':>7}  {'TOPOLOGY':18} NODES")
    for lab in labs:
        age = int(time.time() - lab.info["started"])
        tree, names = lab.info["topology"], " ".join(lab.info["nodes"])
        print(f"{lab.name:24} {lab.info['pid']:>8} {age:>5} s  {tree:18} {names}")
    return 0


def _ask(args: argparse.Namespace, **request: object) -> dict:
    lab = registry.choose(args.lab)
    return asyncio.run(fabric.ask(lab.control, **request))


def cmd_stats(args: argparse.Namespace) -> int:
    request = {"device": args.device} if args.device else {}
    if args.reset:
        _ask(args, cmd="counters_reset", **request)
        return 0
    answer = _ask(args, cmd="counters", **request)
    print(json.dumps(answer["counters"], indent=2, sort_keys=True))
    return 0


def cmd_fault(args: argparse.Namespace) -> int:
    if not args.device:
        answer = _ask(args, cmd="faults")
        print(json.dumps({k: v for k, v in answer.items() if k != "ok"}, indent=2))
        return 0
    if not args.point or not args.action:
        hint = "'peerdma-lab fault' alone lists devices and points"
        raise LabError("a fault needs DEVICE POINT ACTION", hint, EXIT_USAGE)
    request = {"device": args.device, "point": args.point, "action": args.action}
    for key in ("arg", "after", "count", "permille"):
        if getattr(args, key) is not None:
            request[key] = getattr(args, key)
    _ask(args, cmd="fault", **request)
    return 0


HANDLERS: dict[str, options.Handler] = {
    "image": cmd_image,
    "kbuild": cmd_kbuild,
    "run": cmd_run,
    "shell": cmd_shell,
    "test": cmd_test,
    "demo": cmd_demo,
    "topologies": cmd_topologies,
    "list": cmd_list,
    "stats": cmd_stats,
    "fault": cmd_fault,
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = options.parser(HANDLERS).parse_args(argv)
        args.argv = argv
        return args.do(args)
    except LabError as error:
        say(error.text())
        return error.status
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130

# SPDX-License-Identifier: MIT
"""From the options of the command line to what a lab is made of."""

import argparse
import os
from pathlib import Path

from . import image, node, paths, probe, recipe, topology
from .disks import Disks
from .errors import LabError
from .hostkernel import HostKernel
from .lab import Options
from .qemu import Share


def kernel_release(args: argparse.Namespace) -> str | None:
    """That of the Debian kernel asked for; None: whichever the image has."""
    named = args.kernel_release or os.environ.get("PEERDMA_KERNEL_RELEASE")
    return recipe.parse_release(named) if named else None


def get_recipe(args: argparse.Namespace) -> recipe.Recipe:
    return recipe.load_recipe(recipe.parse_packages(args.packages), release=kernel_release(args))


def get_image(args: argparse.Namespace) -> image.Image:
    return image.ensure(paths.cache_dir(args.cache), get_recipe(args), args.mirror)


def _fabric(args: argparse.Namespace, build: Path) -> Path | None:
    if args.no_fabric:
        return None
    named = args.fabric or os.environ.get("PEERDMA_FABRIC")
    path = Path(named).absolute() if named else build / "models/fabric/peerdma-fabric"
    if not os.access(path, os.X_OK):
        hint = "build first ('make'), or run with --no-fabric"
        raise LabError(f"there is no fabric at {path}", hint)
    return path


def _build(args: argparse.Namespace) -> Path:
    build = paths.build_dir(args.build)
    if not build.is_dir():
        hint = "build first: 'make'; or name another with --build"
        raise LabError(f"there is no build directory {build}", hint)
    return build


def _own_modules(args: argparse.Namespace, build: Path) -> str:
    """The folder of the build directory that has our modules for the lab's kernel."""
    folder = paths.kernel_modules(build, kernel_release(args))
    folder.mkdir(exist_ok=True)
    return folder.name


def _program(args: argparse.Namespace, files: image.Image) -> list[str]:
    if not args.qemu:
        return node.program_of(files.tree)
    probe.verify_qemu(args.qemu)
    return [args.qemu]


def _disks(args: argparse.Namespace) -> Disks:
    folder = Path(args.disk_dir).absolute() if args.disk_dir else None
    return Disks(args.disk, args.disk_size, folder)


def options(args: argparse.Namespace) -> Options:
    tree = topology.load(args.topology)
    build = _build(args)
    models = _fabric(args, build)
    files = get_image(args)
    made = Options(
        topology=tree,
        program=_program(args, files),
        kernel=files.kernel,
        early=files.early,
        root=files.root,
        guest_init=build / "lab/guest/peerdma-guest",
        nodes=args.nodes,
        fabric=models,
        fabric_log=args.fabric_log,
        vram=args.vram,
        disks=_disks(args),
        memory_mib=args.memory,
        cpus=args.cpus,
        accel=args.accel,
        cpu=args.cpu,
        name=args.name,
        shares=[Share("build", build), Share("source", paths.SOURCE)],
        kernel_args=args.kernel_arg,
        qemu_args=args.qemu_arg,
        allowed=tuple(args.allow_kernel),
        modules=args.modules,
        bind=not args.no_bind,
        own_modules=_own_modules(args, build),
    )
    if args.kernel:
        HostKernel(Path(args.kernel)).apply(made, paths.cache_dir(args.cache))
    if made.accel == "auto":
        made.accel = probe.choose_accel(made)
    if made.accel == "tcg":
        tsc = probe.clock_args(build / "lab/host/peerdma-tsc")
        made.kernel_args = [*tsc, *made.kernel_args]
    return made

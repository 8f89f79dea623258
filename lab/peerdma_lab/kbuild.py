# SPDX-License-Identifier: MIT
"""Builds the kernel modules of kernel/ for the kernel of the image.

The compiler, make and the kernel's headers live in a Debian tree of their own in the cache, one for
each kernel release: those of the host need neither fit nor be there.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import debian, folders
from .errors import LabError
from .progress import Progress
from .recipe import Recipe

LEAVE_OUT = (
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
    "/usr/lib/gcc/*/*/lto1", "/usr/libexec/gcc/*/*/lto1", "/usr/libexec/gcc/*/*/lto-wrapper",
)  # fmt: skip
# In its own mounts, which end with it. $1 tree, $2 source, $3 result; then make's arguments.
SCRIPT = """
set -e
tree=$1; source=$2; out=$3; shift 3
mkdir -p "$tree/peerdma/source" "$tree/peerdma/out"
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mount --bind "$source" "$tree/peerdma/source"
mount --bind "$out" "$tree/peerdma/out"
exec chroot "$tree" "$@"
"""
# For --check: checkpatch, of all the kernel's source, and the newest headers that there are.
CHECKPATCH = """
cd "$1/usr/src" && tar -xJf linux-source-*.tar.xz --occurrence=1 --wildcards \\
    'linux-source-*/scripts/checkpatch.pl' 'linux-source-*/scripts/spelling.txt' \\
    'linux-source-*/scripts/const_structs.checkpatch' &&
    rm -f linux-source-*.tar.xz linux-*.patch*
"""
NEWEST = """
name=$(chroot "$1" apt-cache pkgnames linux-headers- |
    grep -xE 'linux-headers-[0-9.]+[+]deb[0-9]+-amd64' | sort -V | tail -n 1)
chroot "$1" apt-get -qq -y --no-install-recommends install "$name"
"""


def _make_tree(folder: Path, name: str, system: debian.System, progress: Progress) -> None:
    work = Path(tempfile.mkdtemp(prefix=folders.TEMP_PREFIX, dir=folder))
    try:
        tree = work / "tree"
        debian.bootstrap(system, work, tree, progress)
        shutil.rmtree(folder / name, ignore_errors=True)
        tree.rename(folder / name)
    finally:
        folders.remove(work)


def ensure(
    cache: Path, recipe: Recipe, release: str, mirror: str | None = None, check: bool = False
) -> Path:
    """The tree that builds for this release, made when there is none; check: one with checkers."""
    folder = cache / "kbuild"
    name = f"{release}-check" if check else release
    tree = folder / name
    if tree.is_dir():
        return tree
    progress = Progress("kbuild")
    options = [f"--dpkgopt=path-exclude={p}" for p in LEAVE_OUT]
    packages: tuple[str, ...] = ("gcc", "make", f"linux-headers-{release}")
    if check:
        source = "linux-source-" + ".".join(release.split(".")[:2])
        packages += ("clang-19", "perl", "sparse", source)
        options += [f"--customize-hook={CHECKPATCH}", f"--customize-hook={NEWEST}"]
    where = mirror or os.environ.get("PEERDMA_MIRROR") or recipe.data["mirror"]
    with folders.lock(folder, progress):
        folders.remove_interrupted(folder)
        if not tree.is_dir():
            progress.line(f"making a tree that builds modules for {release}; once")
            system = debian.System(recipe, where, packages, tuple(options), {})
            _make_tree(folder, name, system, progress)
            progress.line("done")
    return tree


def _unshare() -> list[str]:
    args = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    return args if os.getuid() == 0 else [*args, "--map-root-user", "--map-auto"]


def _run(tree: Path, source: Path, out: Path, command: list[str]) -> int:
    """In mounts of its own; the command's output goes to our standard error."""
    out.mkdir(parents=True, exist_ok=True)
    script = ["sh", "-c", SCRIPT, "sh", str(tree), str(source), str(out), *command]
    env = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"}
    return subprocess.run([*_unshare(), *script], stdout=2, env=env, check=False).returncode


def build(tree: Path, release: str, source: Path, out: Path) -> None:
    """Make source/kernel into out. What make says goes to our standard error."""
    command = [
        "make", "-C", "/peerdma/source/kernel", f"KDIR=/usr/src/linux-headers-{release}",
        "MO=/peerdma/out", "--jobserver-style=pipe", f"-j{os.cpu_count() or 1}", "PEERDMA_TESTS=y",
        "modules",
    ]  # fmt: skip
    if _run(tree, source, out, command):
        raise LabError(f"the modules do not build for {release}", "see make's words above")


def check(tree: Path, release: str, source: Path, out: Path) -> None:
    """Run kernel/check.sh; its findings go to our standard error."""
    command = [
        "sh", "/peerdma/source/kernel/check.sh", "/peerdma/source", "/peerdma/out", release,
    ]  # fmt: skip
    if _run(tree, source, out, command):
        raise LabError(f"the modules do not pass their checks for {release}", "see above")

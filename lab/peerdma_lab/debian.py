# SPDX-License-Identifier: MIT
"""Makes Debian root file systems by mmdebstrap."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .procs import die_with
from .progress import PackageCounter, Progress
from .recipe import Recipe

# As root the end of unshare takes all with it; in a user namespace mmdebstrap itself clears up.
END = signal.SIGKILL if os.getuid() == 0 else signal.SIGTERM


@dataclass(frozen=True)
class System:
    """recipe tells the suite; options are mmdebstrap's, env is for its hooks."""

    recipe: Recipe
    mirror: str
    packages: tuple[str, ...]
    options: tuple[str, ...]
    env: Mapping[str, str]


def _sources(recipe: Recipe, mirror: str) -> str:
    suite, components = recipe.data["suite"], recipe.data["components"]
    return f"deb {mirror} {suite} {components}\ndeb {mirror} {suite}-backports {components}\n"


def _pin(recipe: Recipe) -> str:
    suite, names = recipe.data["suite"], recipe.data["backports"]
    return f"Package: {names}\nPin: release n={suite}-backports\nPin-Priority: 900\n"


def _mode() -> str:
    if os.getuid() == 0:
        return "root"
    if not shutil.which("newuidmap"):
        raise LabError(
            "an ordinary user needs newuidmap to build the image",
            "install the package uidmap, or build as root with PEERDMA_CACHE naming a directory "
            "that you can read",
        )
    return "unshare"


def _contained() -> list[str]:
    """As root: mounts nobody else sees, and processes that all end with the first."""
    if os.getuid() != 0:
        return []
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]


def _args(system: System, work: Path, target: Path) -> list[str]:
    (work / "sources.list").write_text(_sources(system.recipe, system.mirror), encoding="utf-8")
    (work / "pin").write_text(_pin(system.recipe), encoding="utf-8")
    return [
        *_contained(), "mmdebstrap", f"--mode={_mode()}", "--variant=minbase", "--verbose",
        f"--format={'tar' if target.suffix == '.tar' else 'directory'}", "--architectures=amd64",
        '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
        f"--setup-hook=upload {work}/pin /etc/apt/preferences.d/backports",
        *system.options, f"--include={','.join(system.packages)}",
        system.recipe.data["suite"], str(target), str(work / "sources.list"),
    ]  # fmt: skip


def bootstrap(system: System, work: Path, target: Path, progress: Progress) -> None:
    """Into target, a file ending in .tar or a directory; work is for passing files."""
    if not shutil.which("mmdebstrap"):
        raise LabError(
            "mmdebstrap is not installed",
            "scripts/deps.sh installs it; or apt-get install mmdebstrap",
        )
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", **system.env)
    if os.getuid() == 0:
        # Everything of an interrupted build lies in one place. Other users' builders could not
        # enter it.
        env["TMPDIR"] = str(work)
    counter = PackageCounter()
    tail: list[str] = []
    parent = os.getpid()
    with subprocess.Popen(
        _args(system, work, target),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: die_with(parent, END),
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                tail = [*tail[-14:], line]
                counter.feed(line)
                progress.update(counter.text())
        except BaseException:
            process.send_signal(END)
            raise
    if process.returncode:
        raise LabError(
            "mmdebstrap failed; its last lines:\n" + "".join(tail),
            "is the Debian mirror reachable?",
        )

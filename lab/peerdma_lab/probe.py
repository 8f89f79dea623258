# SPDX-License-Identifier: MIT
"""What the host can do: its QEMU, whether KVM really runs a kernel, the rate of its clock."""

import asyncio
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from .errors import LabError
from .lab import Lab, Options

QEMU_MIN = (10, 1, 1)
KVM = "/dev/kvm"
# With KVM a guest is up in a second or two; where KVM does not work it hangs in the firmware.
KVM_SECONDS = 15.0


def parse_version(text: str) -> tuple[int, int, int] | None:
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def verify_qemu(path: str) -> None:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"cannot run {path}: {error}") from None
    version = parse_version(done.stdout)
    if not version or version < QEMU_MIN:
        wanted = ".".join(str(n) for n in QEMU_MIN)
        hint = "leave --qemu out to use the image's"
        raise LabError(f"{path} is not QEMU {wanted} or later", hint)


def clock_args(program: Path) -> list[str]:
    """What tells a guest under TCG the rate of its time stamp counter, which is the host's. While
    the host is busy a guest measures it wrongly, and its clock then runs many times too fast.
    program: peerdma-tsc. Nothing where the rate is not known.
    """
    try:
        done = subprocess.run([program], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    khz = done.stdout.strip()
    return [f"tsc_early_khz={khz}"] if done.returncode == 0 and khz.isdecimal() else []


async def _boots(lab: Lab) -> None:
    async def boot() -> None:
        async with lab:
            pass

    await asyncio.wait_for(boot(), KVM_SECONDS)


def choose_accel(options: Options) -> str:
    """kvm when a lab of one node boots with it in short time, else tcg."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    lab = Lab(replace(options, accel="kvm", nodes=1, fabric=None, name=f"probe{os.getpid()}"))
    try:
        asyncio.run(_boots(lab))
        return "kvm"
    except LabError as error:
        if error.interrupted:
            raise
        return "tcg"
    except (TimeoutError, asyncio.TimeoutError):
        return "tcg"
    finally:
        lab.close()

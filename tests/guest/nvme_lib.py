# SPDX-License-Identifier: MIT
"""What the nvme tests share: the disk as the kernel shows it, the fabric's view of it, fio."""

import array
import json
import mmap
import os
import re
import signal
import subprocess
from pathlib import Path

from fabric import Json, ask
from programs import run, wait_for

PCI_NAME = os.environ["PEERDMA_SLOT_DISK0"]
PCI = Path("/sys/bus/pci/devices") / PCI_NAME
DRIVER = Path("/sys/bus/pci/drivers/nvme")
LIMIT = 60.0
CTRL = "/dev/nvme0"


def nvme(*argv: str) -> Json:
    """A command of nvme-cli that knows JSON."""
    return json.loads(run("nvme", *argv, "-o", "json"))


def status(*argv: str) -> int:
    """Type and code of the status with which a command of nvme-cli failed."""
    said = run("nvme", *argv, fails=True)
    found = re.search(r"\(?0x([0-9a-f]+)\)?\s*$", said.strip().splitlines()[-1])
    assert found, said
    return int(found[1], 16) & 0x7FF


# ---- the fabric ----


def model() -> dict[str, int]:
    return ask("counters", "disk0")["model"]


def state() -> Json:
    return ask("snapshot", "disk0")["state"]


def data_bytes(target: str, direction: str) -> int:
    return ask("counters", "disk0")["dma"]["data"][target][direction]["bytes"]


# ---- the device as the kernel shows it ----


def text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def find_disk(nsid: int) -> str:
    """The kernel numbers its disks in the order in which it found them."""
    for path in Path("/sys/block").glob("nvme0n*"):
        if text(f"{path}/nsid") == str(nsid) and text(f"{path}/size") not in ("", "0"):
            return f"/dev/{path.name}"
    return ""


def disk(nsid: int = 1) -> str:
    found = find_disk(nsid)
    assert found, f"namespace {nsid} is not there"
    return found


def is_live() -> bool:
    paths = [Path(find_disk(nsid)) for nsid in (1, 2)]
    live = text("/sys/class/nvme/nvme0/state") == "live"
    return live and all(p.is_block_device() for p in paths)


def wait_live() -> None:
    wait_for("the disk is live", is_live)


def bind(action: str) -> None:
    (DRIVER / action).write_text(PCI_NAME, encoding="ascii")


def reset_controller() -> None:
    Path("/sys/class/nvme/nvme0/reset_controller").write_text("1", encoding="ascii")


# ---- data ----


def pattern(size: int, seed: int) -> bytes:
    """Of every 8 bytes: the seed and the place."""
    return array.array("Q", range(seed << 40, (seed << 40) + size // 8)).tobytes()


class Direct:
    """A disk without the page cache in between."""

    def __init__(self, path: str, flags: int = 0) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT | flags)

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def write(self, off: int, data: bytes) -> None:
        with mmap.mmap(-1, len(data)) as buf:
            buf[:] = data
            assert os.pwritev(self.fd, [buf], off) == len(data)

    def read(self, off: int, size: int) -> bytes:
        with mmap.mmap(-1, size) as buf:
            assert os.preadv(self.fd, [buf], off) == size
            return buf[:]

    def flush(self) -> None:
        os.fsync(self.fd)


# ---- fio ----


def fio_args(path: str, name: str, *more: str) -> list[str]:
    return [
        "fio", "--thread", f"--name={name}", f"--filename={path}", "--direct=1",
        "--ioengine=libaio", "--iodepth=16", "--verify=crc32c", "--verify_fatal=1",
        "--group_reporting", *more,
    ]  # fmt: skip


class Load:
    """fio writing and verifying until it is ended."""

    def __init__(self, nsid: int = 1) -> None:
        argv = fio_args(
            disk(nsid), "load", "--rw=randrw", "--bsrange=4k-128k", "--size=32M", "--time_based",
            "--runtime=1000", "--verify_backlog=64",
        )  # fmt: skip
        self._before = model()["io.write"]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.wait(20)

    def wait(self, commands: int) -> None:
        """Until so many more writes reached the disk."""
        first = model()["io.write"]

        def ready() -> bool:
            return self.process.poll() is not None or model()["io.write"] >= first + commands

        wait_for(f"{commands} writes", ready)
        assert self.process.poll() is None, f"fio ended by itself:\n{self.process.communicate()[0]}"

    def end(self) -> str:
        """An orderly end, in which fio says whether what it verified was right."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=LIMIT)[0]
        assert "err= 0" in said, said
        return said

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=LIMIT)

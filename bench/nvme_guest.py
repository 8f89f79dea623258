#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In the guest of bench/nvme: fio on the first namespace, a line of JSON for each sample."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

AREA = "128M"
# What, how, a piece, how many at once.
JOBS = {
    "randread_4k_qd32": ["--rw=randread", "--bs=4k", "--iodepth=32"],
    "randread_4k_qd1": ["--rw=randread", "--bs=4k", "--iodepth=1"],
    "randwrite_4k_qd32": ["--rw=randwrite", "--bs=4k", "--iodepth=32"],
    "read_1m_qd4": ["--rw=read", "--bs=1m", "--iodepth=4"],
    "write_1m_qd4": ["--rw=write", "--bs=1m", "--iodepth=4"],
}


def find_disk() -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for path in sorted(Path("/sys/block").glob("nvme0n*")):
            first = (path / "nsid").read_text(encoding="ascii").strip() == "1"
            if first and Path("/dev", path.name).is_block_device():
                return f"/dev/{path.name}"
        time.sleep(0.05)
    raise SystemExit("there is no disk")


def fio(disk: str, *more: str) -> dict[str, Any]:
    argv = ["fio", "--thread", "--name=x", f"--filename={disk}", "--direct=1", f"--size={AREA}",
            "--ioengine=libaio", "--output-format=json", *more]  # fmt: skip
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return json.loads(said[said.index("{") :])["jobs"][0]


def sample(disk: str, name: str, seconds: int) -> dict[str, Any]:
    job = fio(disk, *JOBS[name], "--time_based", f"--runtime={seconds}", "--ramp_time=1")
    way = job["read" if "read" in name else "write"]
    return {
        "job": name,
        "iops": way["iops"],
        "mib_s": way["bw"] / 1024,
        "us": way["clat_ns"]["percentile"]["50.000000"] / 1000,
    }


def main() -> None:
    seconds, samples = int(sys.argv[1]), int(sys.argv[2])
    disk = find_disk()
    # What was never written is not read from anywhere.
    fio(disk, "--rw=write", "--bs=1m", "--iodepth=4", "--end_fsync=1")
    for _ in range(samples):
        for name in JOBS:
            print(json.dumps(sample(disk, name, seconds)), flush=True)


if __name__ == "__main__":
    main()

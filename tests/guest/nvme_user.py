#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What users do with a disk: nvme-cli, a file system, fio."""

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from nvme_lib import (
    CTRL, Direct, data_bytes, disk, fio_args, model, nvme, pattern, status, wait_live,
)  # fmt: skip
from programs import run
from tap import tap

BAD_OPCODE, BAD_FIELD, BAD_NS, LBA_RANGE = 0x001, 0x002, 0x00B, 0x080
BAD_LOG, BAD_QID, COMPARE_FAILED, READ_ERROR = 0x109, 0x101, 0x285, 0x281
MIB = 1 << 20
# nvme-cli looks at CAP, by a mapping that the kernel refuses where the driver has the BAR, unless
# the launcher permitted it.
BARS_BY_FILE = os.environ["PEERDMA_IOMMU"] == "0"


def lists() -> None:
    disks = nvme("list")["Devices"]
    text = str(disks)
    assert "peerdma-a-disk0" in text and "/dev/nvme0n1" in text and "/dev/nvme0n2" in text, text
    assert len(nvme("list-ns", CTRL)["nsid_list"]) == 2
    for nsid, sectors, block in ((1, 1 << 21, 512), (2, 1 << 19, 4096)):
        block_dev = Path("/sys/block") / Path(disk(nsid)).name
        assert int((block_dev / "size").read_text(encoding="ascii")) == sectors
        assert int((block_dev / "queue/logical_block_size").read_text(encoding="ascii")) == block


def identify() -> None:
    ctrl = nvme("id-ctrl", CTRL)
    assert ctrl["sn"].strip() == "peerdma-a-disk0" and ctrl["mdts"] == 8 and ctrl["vwc"] == 7, ctrl
    assert ctrl["sqes"] == 0x66 and ctrl["cqes"] == 0x44 and ctrl["ver"] == 0x20000, ctrl
    for path, shift, blocks in ((disk(), 9, 1 << 21), (disk(2), 12, 1 << 16)):
        ns = nvme("id-ns", path)
        assert ns["nsze"] == blocks and ns["lbafs"][0]["ds"] == shift, ns
    ids = {str(nvme("ns-descs", d)) for d in (disk(), disk(2))}
    assert len(ids) == 2, ids
    # Those that look at the rest of the CNS values.
    run("nvme", "list-ctrl", CTRL)
    run("nvme", "cmdset-ind-id-ns", disk())
    run("nvme", "nvm-id-ctrl", CTRL)
    run("nvme", "nvm-id-ns", disk())


def logs() -> None:
    before = nvme("smart-log", CTRL)
    with Direct(disk()) as drive:
        for i in range(4):
            drive.write(i * MIB, pattern(MIB, i))
    after = nvme("smart-log", CTRL)
    assert after["data_units_written"] >= before["data_units_written"] + 8, after
    assert after["temperature"] == 310 and after["critical_warning"] == 0, after
    run("nvme", "fw-log", CTRL)
    if BARS_BY_FILE:
        run("nvme", "effects-log", CTRL)
    run("nvme", "get-log", CTRL, "--log-id=5", "--log-len=4096")
    run("nvme", "supported-log-pages", CTRL)
    run("nvme", "changed-ns-list-log", CTRL)


def passthru(kind: str, device: str, opcode: int, *more: str) -> int:
    return status(f"{kind}-passthru", device, f"--opcode={opcode}", *more)


def statuses() -> None:
    read = ["--data-len=4096", "--read", "--cdw12=7"]
    assert passthru("admin", CTRL, 0x7F) == BAD_OPCODE
    assert passthru("io", disk(), 0x7F, "--namespace-id=1") == BAD_OPCODE
    assert passthru("io", disk(), 2, "--namespace-id=1", "--cdw11=1", *read) == LBA_RANGE
    assert passthru("io", disk(), 2, "--namespace-id=1", "--cdw10=2097145", *read) == LBA_RANGE
    ns7 = ["--namespace-id=7", "--cdw10=3", "--data-len=4096", "--read"]
    assert passthru("admin", CTRL, 6, *ns7) == BAD_NS
    assert passthru("admin", CTRL, 6, "--cdw10=0x7f", "--data-len=4096", "--read") == BAD_FIELD
    assert passthru("admin", CTRL, 2, "--cdw10=0x3ff00c0", "--data-len=4096", "--read") == BAD_LOG
    assert passthru("admin", CTRL, 0, "--cdw10=0") == BAD_QID
    assert passthru("admin", CTRL, 0x0A, "--cdw10=0x7f") == BAD_FIELD
    errors = nvme("error-log", CTRL)["errors"]
    first = errors[0]
    assert first["error_count"] >= 9 and first["sqid"] == 0, first
    assert nvme("smart-log", CTRL)["num_err_log_entries"] == first["error_count"]


def commands() -> None:
    data = pattern(8 * 512, 9)
    with tempfile.NamedTemporaryFile() as file, Direct(disk()) as drive:
        file.write(data)
        file.flush()
        drive.write(0, data)
        same = ["compare", disk(), "-s", "0", "-c", "7", "-z", "4096", "-d", file.name]
        run("nvme", *same)
        run("nvme", "verify", disk(), "-s", "0", "-c", "7")
        drive.write(512 * 7, bytes(512))
        assert status(*same) == COMPARE_FAILED
        run("nvme", "write-zeroes", disk(), "-s", "0", "-c", "3")
        assert drive.read(0, 4096) == bytes(2048) + data[2048:3584] + bytes(512)
        run("nvme", "dsm", disk(), "--ad", "--slbs=4", "--blocks=2")
        assert drive.read(2048, 1024) == bytes(1024)
        run("nvme", "write-uncor", disk(), "-s", "1", "-c", "0")
        assert status("verify", disk(), "-s", "0", "-c", "7") == READ_ERROR
        drive.write(0, data)
        assert drive.read(0, 4096) == data
        run("nvme", "flush", disk())


def write_cache() -> None:
    run("nvme", "set-feature", CTRL, "-f", "6", "-V", "0")
    syncs, cached = model()["media.syncs"], model()["cache.bytes_in"]
    with Direct(disk()) as drive:
        drive.write(MIB, pattern(4096, 1))
    assert model()["media.syncs"] == syncs + 1 and model()["cache.bytes_in"] == cached
    run("nvme", "set-feature", CTRL, "-f", "6", "-V", "1")
    with Direct(disk()) as drive:
        drive.write(MIB, pattern(4096, 2))
        assert drive.read(MIB, 4096) == pattern(4096, 2)
    assert model()["media.syncs"] == syncs + 1 and model()["cache.bytes_in"] == cached + 4096


def transfers() -> None:
    with Direct(disk()) as drive:
        for size in (512, 4096, 4608, 8192, 65536, MIB, 3 * MIB):
            drive.write(512 * 3, pattern(size, size))
            assert drive.read(512 * 3, size) == pattern(size, size), size


def lists_of_both_kinds() -> None:
    """The driver takes an SGL where pieces are of at least this size, else PRPs."""
    threshold = Path("/sys/module/nvme/parameters/sgl_threshold")
    usual = threshold.read_text(encoding="ascii")
    try:
        for value, kind, other in (("0", "prp", "sgl"), ("512", "sgl", "prp")):
            threshold.write_text(value, encoding="ascii")
            before = model()
            transfers()
            after = model()
            grown = {k: after[f"lists.{k}"] - before[f"lists.{k}"] for k in (kind, other)}
            assert grown[kind] > grown[other], f"threshold {value}: {grown}"
    finally:
        threshold.write_text(usual, encoding="ascii")


def checksums(folder: Path) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.is_file()
    }


def file_system() -> None:
    run("mkfs.ext4", "-q", "-F", disk())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("mount", disk(), name)
        try:
            for i in range(20):
                (folder / f"file{i}").write_bytes(os.urandom(1 + i * 50001))
            first = checksums(folder)
        finally:
            run("umount", name)
        run("fsck.ext4", "-f", "-n", disk())
        Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
        run("mount", disk(), name)
        try:
            assert checksums(folder) == first
        finally:
            run("umount", name)


def fio_on(path: str, seconds: int) -> None:
    run(
        *fio_args(
            path, "verify", "--rw=randrw", "--bsrange=4k-256k", "--size=32M", "--fsync=50",
            "--verify_backlog=256", "--time_based", f"--runtime={seconds}",
        ),
        limit=seconds + 120,
    )  # fmt: skip


def fio(seconds: int) -> None:
    host = data_bytes("host", "read") + data_bytes("host", "write")
    fio_on(disk(), seconds)
    fio_on(disk(2), seconds)
    run("mkfs.ext4", "-q", "-F", disk())
    with tempfile.TemporaryDirectory() as name:
        run("mount", disk(), name)
        try:
            fio_on(f"{name}/file", seconds)
        finally:
            run("umount", name)
    run("fsck.ext4", "-f", "-n", disk())
    moved = data_bytes("host", "read") + data_bytes("host", "write") - host
    assert moved > 8 * MIB, moved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of fio on each of three")
    parser.add_argument("only", nargs="*", help="names of cases")
    args = parser.parse_args()
    run("modprobe", "ext4")
    wait_live()
    tests = {
        "nvme_list": lists,
        "identify": identify,
        "log_pages": logs,
        "statuses_of_bad_commands": statuses,
        "commands": commands,
        "volatile_write_cache_off_and_on": write_cache,
        "prp_and_sgl": lists_of_both_kinds,
        "ext4": file_system,
        "fio_verify": lambda: fio(args.seconds),
    }
    return tap({k: v for k, v in tests.items() if not args.only or k in args.only})


if __name__ == "__main__":
    sys.exit(main())

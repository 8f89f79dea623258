#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Node a commits data to the drive of node b, whose owner's program only waits meanwhile."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from fabric import ask
from nic_tools import next_port
from nic_two import ADDRESS, two_nodes
from programs import LIMIT, wait_for
from serve_lib import BUILD, on_b, peer
from tap import Tests

COMMIT = f"{BUILD}/tests/guest/nvme_commit"
BDF = os.environ["PEERDMA_SLOT_DISK0"]
FIFO = "/run/commit-control"
LOG = "/run/commit-log"
PCI = f"/sys/bus/pci/devices/{BDF}"
# The control has both ends open in the program, so that only what is written ends it.
OWN = (
    f"rm -f {FIFO} {LOG}; mkfifo {FIFO}; echo vfio-pci > {PCI}/driver_override; "
    f"echo {BDF} > {PCI}/driver/unbind; echo {BDF} > /sys/bus/pci/drivers_probe; "
    f'exec "$0" serve "$@" <>{FIFO} >{LOG} 2>&1'
)
GIVE_BACK = (
    f"echo > {PCI}/driver_override; echo {BDF} > {PCI}/driver/unbind; "
    f"echo {BDF} > /sys/bus/pci/drivers_probe"
)
MIB = 1 << 20
BLOCK = 512
MANAGEMENT = 4096


class Owner:
    """The drive of node b in the hands of a program, until the end of a with statement."""

    def __init__(self) -> None:
        self.port = next_port()
        argv = ["sh", "-c", OWN, COMMIT, ADDRESS["b"], str(self.port), BDF]
        self.process = peer().start(argv, self.port)

    def __enter__(self) -> "Owner":
        return self

    def __exit__(self, *_: object) -> None:
        on_b("sh", "-c", f"echo q > {FIFO}")
        self.process.wait()
        on_b("sh", "-c", GIVE_BACK)

    def say(self, word: str, answer: str) -> None:
        on_b("sh", "-c", f"echo {word} > {FIFO}")
        wait_for(answer, lambda: answer in on_b("cat", LOG))

    def put(self, data: bytes, lba: int) -> subprocess.CompletedProcess[bytes]:
        argv = [COMMIT, "put", ADDRESS["b"], str(self.port), str(lba)]
        return subprocess.run(argv, input=data, capture_output=True, timeout=LIMIT, check=False)


def data_bytes(device: str) -> dict[str, dict[str, int]]:
    """Payload by target and direction."""
    data = ask("counters", device)["dma"]["data"]
    return {t: {w: data[t][w]["bytes"] for w in ("read", "write")} for t in data}


def on_the_disk(lba: int, size: int) -> str:
    """What the stock driver of node b finds there: its SHA-256."""
    find = 'grep -lx 1 /sys/block/nvme*/nsid | while read f; do n=${f%/nsid}; echo ${n##*/}; done'
    name = wait_for("the disk of node b", lambda: on_b("sh", "-c", find).strip())
    wait_for("its node", lambda: "yes" in on_b("sh", "-c", f"test -b /dev/{name} && echo yes; :"))
    read = f"dd if=/dev/{name} bs={BLOCK} skip={lba} count={size // BLOCK} status=none | sha256sum"
    return on_b("sh", "-c", read)


def committed() -> None:
    """1 MiB less a block, from the memory of node a to the medium of node b."""
    data = os.urandom(MIB - BLOCK)
    lba = 10000
    with Owner() as owner:
        before = {d: data_bytes(d) for d in ("b/nic0", "b/disk0")}
        done = owner.put(data, lba)
        assert done.returncode == 0, done
        after = {d: data_bytes(d) for d in before}
    for device in before:
        for way in ("read", "write"):
            moved = after[device]["host"][way] - before[device]["host"][way]
            # Datagrams of the connection manager go to host memory, and nothing else.
            most = MANAGEMENT if device == "b/nic0" else 0
            assert moved <= most, f"{device}: {moved} bytes of data {way} host memory of node b"
    disk = after["b/disk0"]["own"]["read"] - before["b/disk0"]["own"]["read"]
    assert disk == len(data), f"the drive read {disk} bytes of data from its buffer"
    to_disk = after["b/nic0"]["peer_switch"]["write"] - before["b/nic0"]["peer_switch"]["write"]
    assert to_disk >= len(data), f"the NIC wrote {to_disk} bytes to the drive"
    print(f"# {len(data)} bytes, host memory of node b: 0")
    want = hashlib.sha256(data).hexdigest()
    assert on_the_disk(lba, len(data)).split()[:1] == [want]


def owner_leaves() -> None:
    """The medium is not touched any more once the owner has taken the grant back."""
    old, new = os.urandom(65536), os.urandom(65536)
    with Owner() as owner:
        assert owner.put(old, 20000).returncode == 0
    with Owner() as owner:
        reader, writer = os.pipe()
        argv = [COMMIT, "put", ADDRESS["b"], str(owner.port), "20000"]
        with subprocess.Popen(argv, stdin=reader, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as client:
            os.close(reader)
            assert client.stdout
            assert client.stdout.readline() == b"connected\n"
            owner.say("r", "revoked")
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(new)
            said = client.stdout.read()
            assert client.wait(timeout=LIMIT) == 1 and b"RDMA to the drive failed" in said, said
    want = hashlib.sha256(old).hexdigest()
    assert on_the_disk(20000, len(old)).split()[:1] == [want]


def the_drive_refuses() -> None:
    with Owner() as owner:
        done = owner.put(os.urandom(512), 1 << 50)
        assert done.returncode == 1 and b"blocks" in done.stderr, done


def tests() -> Tests:
    return {
        "committed": committed,
        "the_drive_refuses": the_drive_refuses,
        "owner_leaves": owner_leaves,
    }


if __name__ == "__main__":
    assert Path(COMMIT).exists()
    sys.exit(two_nodes(tests))

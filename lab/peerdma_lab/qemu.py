# SPDX-License-Identifier: MIT
"""The command line of QEMU for one node. Nothing here starts anything."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .topology import Slot, Topology

AGENT_PORT = "peerdma.agent"
CONTROL_PORT = "peerdma.control"
CMB_MIB = 16
# Root bus addresses of the launcher's own devices; topologies have 1 to 15.
ADDR_AGENT, ADDR_ROOT, ADDR_NET, ADDR_SHARES = 0x1E, 0x1D, 0x1C, 0x18
SHARES_MAX = ADDR_NET - ADDR_SHARES

KERNEL_ARGS = (
    "console=ttyS0",
    "loglevel=5",
    "panic=-1",
    "nokaslr",
    "mitigations=off",
    "random.trust_cpu=on",
    "tsc=reliable",
    "no_timer_check",
    "audit=0",
    "cryptomgr.notests",
    "raid=noautodetect",
    "rcupdate.rcu_expedited=1",
    "nmi_watchdog=0",
    # The host may be slow: a stall is one when it lasts.
    "watchdog_thresh=40",
    "rcupdate.rcu_cpu_stall_timeout=80",
    "pcie_aspm=off",
)


@dataclass(frozen=True)
class Share:
    tag: str
    path: Path


@dataclass
class Machine:
    """What a node is made of."""

    name: str
    names: list[str]
    topology: Topology
    kernel: Path
    initrd: Path
    root: Path
    agent_fd: int
    console: Path
    cpus: int = 2
    memory_mib: int = 2048
    accel: str = "tcg"
    cpu: str | None = None
    # Slots with a model: name to the socket of the model.
    models: dict[str, Path] = field(default_factory=dict)
    disks: dict[str, Path] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    # Sockets to the other nodes; none in a lab of one.
    net_fds: list[int] = field(default_factory=list)
    fabric_qmp: Path | None = None
    # Control socket of the fabric, which guest tests may ask for counters and tell to fail.
    control: Path | None = None
    kernel_args: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)


def kernel_command_line(m: Machine) -> str:
    args = [*KERNEL_ARGS]
    # Without an IOMMU user space drives devices by their BAR files, which the kernel otherwise
    # keeps to itself.
    args += ["intel_iommu=on"] if m.topology.iommu else ["iomem=relaxed"]
    args += [f"peerdma.node={m.name}", f"peerdma.nodes={','.join(m.names)}"]
    if m.shares:
        args.append("peerdma.shares=" + ",".join(s.tag for s in m.shares))
    return " ".join(args + m.kernel_args)


def _device(driver: str, **properties: Any) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in properties.items()}
    return ["-device", json.dumps({"driver": driver, **named})]


def _blockdev(name: str, path: Path, read_only: bool) -> list[str]:
    file = {"driver": "file", "filename": str(path), "read-only": read_only, "locking": "off"}
    return [
        "-blockdev",
        json.dumps({"driver": "raw", "node-name": name, "read-only": read_only, "file": file}),
    ]


def _ports(t: Topology) -> list[str]:
    args = []
    for port in t.root_ports:
        place = {"bus": "pcie.0", "addr": f"{port.slot:#x}"}
        args += _device("pcie-root-port", id=port.name, chassis=port.slot, slot=port.slot, **place)
    # QEMU numbers the slots of all ports in one space per chassis.
    for chassis, switch in enumerate(t.switches, start=64):
        args += _device("x3130-upstream", id=switch.name, bus=switch.on)
        for number, port in enumerate(switch.ports):
            place = {"bus": switch.name, "addr": f"{number:#x}"}
            args += _device("xio3130-downstream", id=port, chassis=chassis, slot=number, **place)
    return args


def _slot(m: Machine, slot: Slot) -> list[str]:
    if slot.name in m.models:
        socket = {"type": "unix", "path": str(m.models[slot.name])}
        return _device("vfio-user-pci", id=slot.name, bus=slot.on, rombar=0, socket=socket)
    if slot.name in m.disks:
        drive = f"drive-{slot.name}"
        nvme = {"driver": "nvme", "id": slot.name, "bus": slot.on, "drive": drive,
                "serial": f"peerdma-{m.name}-{slot.name}", "cmb_size_mb": CMB_MIB}  # fmt: skip
        return [*_blockdev(drive, m.disks[slot.name], False), "-device", json.dumps(nvme)]
    return []


def _network(m: Machine) -> list[str]:
    if not m.net_fds:
        return []
    args = []
    if len(m.net_fds) == 1:
        args += ["-netdev", f"stream,id=net,server=off,addr.type=fd,addr.str={m.net_fds[0]}"]
    else:
        # One node holds the hub which joins all others.
        for i, fd in enumerate(m.net_fds):
            args += ["-netdev", f"stream,id=peer{i},server=off,addr.type=fd,addr.str={fd}"]
            args += ["-netdev", f"hubport,id=hub{i},hubid=0,netdev=peer{i}"]
        args += ["-netdev", "hubport,id=net,hubid=0"]
    mac = f"52:54:00:50:44:{m.names.index(m.name) + 1:02x}"
    place = {"bus": "pcie.0", "addr": f"{ADDR_NET:#x}", "disable_legacy": "on", "rombar": 0}
    return args + _device("virtio-net-pci", netdev="net", mac=mac, **place)


def _shares(m: Machine) -> list[str]:
    args = []
    for i, share in enumerate(m.shares):
        path = str(share.path).replace(",", ",,")
        args += [
            "-fsdev",
            f"local,id={share.tag},path={path},security_model=none,readonly=on,multidevs=remap",
        ]
        args += _device("virtio-9p-pci", fsdev=share.tag, mount_tag=share.tag, bus="pcie.0",
                        addr=f"{ADDR_SHARES + i:#x}", disable_legacy="on")  # fmt: skip
    return [a.replace("mount-tag", "mount_tag") for a in args]


def _own_devices(m: Machine) -> list[str]:
    agent = {"driver": "virtserialport", "bus": "agent.0", "chardev": "agent", "name": AGENT_PORT}
    return [
        "-chardev", f"socket,id=agent,fd={m.agent_fd}",
        "-chardev", f"file,id=console,path={m.console}", "-serial", "chardev:console",
        *_device(
            "virtio-serial-pci",
            id="agent",
            bus="pcie.0",
            addr=f"{ADDR_AGENT:#x}",
            disable_legacy="on",
        ),
        "-device", json.dumps(agent),
        *_blockdev("root", m.root, True),
        *_device(
            "virtio-blk-pci",
            drive="root",
            bus="pcie.0",
            addr=f"{ADDR_ROOT:#x}",
            disable_legacy="on",
        ),
    ]  # fmt: skip


def _fabric_access(m: Machine) -> list[str]:
    args = []
    if m.fabric_qmp:
        args += ["-qmp", f"unix:{m.fabric_qmp},server=on,wait=off"]
    if m.control:
        port = {
            "driver": "virtserialport", "bus": "agent.0", "chardev": "control", "name": CONTROL_PORT
        }
        args += [
            "-chardev",
            f"socket,id=control,path={m.control},server=off",
            "-device",
            json.dumps(port),
        ]
    return args


def arguments(m: Machine) -> list[str]:
    accel = "tcg,thread=multi" if m.accel == "tcg" else m.accel
    args = [
        "-name", f"peerdma-{m.name}",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-object", f"memory-backend-memfd,id=ram,size={m.memory_mib}M,share=on",
        "-machine", "q35,memory-backend=ram,sata=off,usb=off,vmport=off,i8042=off,hpet=off",
        "-accel", accel, "-cpu", m.cpu or m.topology.cpu, "-smp", str(m.cpus),
        "-m", f"{m.memory_mib}M",
        "-kernel", str(m.kernel), "-initrd", str(m.initrd), "-append", kernel_command_line(m),
    ]  # fmt: skip
    if m.topology.iommu:
        # Caching mode is what makes QEMU tell the models about every mapping.
        args += _device("intel-iommu", id="iommu", caching_mode=True)
    args += _own_devices(m) + _network(m) + _shares(m) + _ports(m.topology)
    args += _fabric_access(m)
    for slot in m.topology.slots:
        args += _slot(m, slot)
    return args + m.extra

# SPDX-License-Identifier: MIT
"""A running lab: the fabric, the nodes, and one place that knows when any of them fails."""

import asyncio
import io
import re
import shutil
import signal
import socket
import string
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from . import cpio, fabric, klog, node, registry
from .disks import Disks
from .errors import EXIT_KERNEL, EXIT_SIGNAL, EXIT_USAGE, LabError
from .node import Node
from .procs import Janitor, Process
from .qemu import Machine, Share
from .topology import Topology

NODES_MAX = 8
DISK_BYTES = 1 << 30
OWN_MODULES = "kernel"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")
BIND_SCRIPT = (
    'echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override" && '
    'echo "$1" > /sys/bus/pci/drivers_probe'
)


@dataclass
class Options:
    topology: Topology
    program: list[str]
    kernel: Path
    early: Path
    root: Path
    guest_init: Path
    nodes: int = 1
    # None: a lab without models.
    fabric: Path | None = None
    fabric_log: str = "info"
    vram: str = "256M"
    disks: Disks = field(default_factory=Disks)
    memory_mib: int = 2048
    cpus: int | None = None
    accel: str = "tcg"
    cpu: str | None = None
    name: str | None = None
    shares: list[Share] = field(default_factory=list)
    kernel_args: list[str] = field(default_factory=list)
    qemu_args: list[str] = field(default_factory=list)
    allowed: tuple[re.Pattern[str], ...] = ()
    modules: list[str] = field(default_factory=list)
    bind: bool = True
    # Folder of the build directory whose modules a guest finds in /peerdma/build/kernel.
    own_modules: str = OWN_MODULES


class Lab:
    """Use as an asynchronous context manager; await everything that may take long through
    guard().
    """

    def __init__(self, options: Options) -> None:
        if not 1 <= options.nodes <= NODES_MAX:
            raise LabError(f"a lab has 1 to {NODES_MAX} nodes", status=EXIT_USAGE)
        self.options = options
        self.names = list(string.ascii_lowercase[: options.nodes])
        has = fabric.models_of(options.fabric) if options.fabric else set()
        # The kinds of slots that have a model in them.
        self.models = fabric.kinds_of(has, options.disks)
        self.run_dir = registry.make(options.name)
        # Forks, hence before anything else happens.
        self._janitor = Janitor(self.run_dir)
        self.nodes: dict[str, Node] = {}
        self.fabric: Process | None = None
        self.failed: asyncio.Future[None]
        self._leaving = False

    @property
    def name(self) -> str:
        return self.run_dir.name

    @property
    def control(self) -> Path:
        return self.run_dir / "control.sock"

    # Failure

    def fail(self, error: BaseException) -> None:
        """The first failure is the one that counts."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def guard(self, what: Awaitable[T]) -> T:
        """Awaits, but not beyond the failure of the lab."""
        task = asyncio.ensure_future(what)
        try:
            await asyncio.wait([task, self.failed], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self.failed.result()
            raise AssertionError("the lab failed without a reason")
        finally:
            task.cancel()

    def interrupted(self) -> LabError | None:
        """The failure, when it is the user's wish."""
        error = self.failed.exception() if self.failed.done() else None
        return error if isinstance(error, LabError) and error.interrupted else None

    def check_boot_alarms(self) -> None:
        alarms = self.alarms()
        if alarms:
            raise LabError(
                "kernel warning during the boot: " + "; ".join(alarms), status=EXIT_KERNEL
            )

    def _on_signal(self, sig: int) -> None:
        self.fail(LabError(f"interrupted by {signal.Signals(sig).name}", status=EXIT_SIGNAL + sig))

    def _on_fabric_end(self, status: "asyncio.Future[int]") -> None:
        if self._leaving:
            return
        said = node.tail(self.run_dir / "fabric.log")
        how = node.describe_status(status.result())
        self.fail(node.died(f"the fabric {how}", said))

    def _on_node_end(self, ended: "asyncio.Future[None]") -> None:
        if not ended.cancelled() and ended.exception() and not self._leaving:
            self.fail(ended.exception() or LabError("a node ended"))

    # Start and end

    async def __aenter__(self) -> "Lab":
        loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        for sig in SIGNALS:
            loop.add_signal_handler(sig, self._on_signal, sig)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._stop()

    def close(self) -> None:
        """Removes the run directory. Whoever wants something out of it takes it before."""
        self._janitor.finish()

    async def _start(self) -> None:
        self._describe()
        initrd = self._make_initrd()
        if self.models:
            await self._start_fabric()
        self._start_nodes(initrd)
        hellos = asyncio.gather(*(n.hello() for n in self.nodes.values()))
        await self.guard(hellos)
        await self.guard(self._prepare())

    def _describe(self) -> None:
        registry.describe(
            self.run_dir,
            topology=self.options.topology.name,
            nodes=self.names,
            fabric=bool(self.models),
        )

    async def _start_fabric(self) -> None:
        o = self.options
        assert o.fabric
        links = fabric.default_links(o.topology, self.names, self.models)
        data = fabric.config(
            self.run_dir, o.topology, self.names, self.models, o.vram, links, o.disks
        )
        self.fabric = await self.guard(fabric.start(o.fabric, self.run_dir, data, o.fabric_log))
        self.fabric.ended.add_done_callback(self._on_fabric_end)

    def _make_initrd(self) -> Path:
        """The kernel's part from the image, and our own process 1."""
        try:
            program = self.options.guest_init.read_bytes()
        except OSError as error:
            raise LabError(
                f"cannot read {self.options.guest_init}: {error.strerror}", "build first: 'make'"
            ) from None
        out = io.BytesIO()
        archive = cpio.Writer(out)
        archive.file("init", program, cpio.PROGRAM)
        archive.finish()
        path = self.run_dir / "initrd"
        path.write_bytes(self.options.early.read_bytes() + out.getvalue())
        return path

    def _network(self) -> dict[str, list[socket.socket]]:
        """A star: the first node is joined to every other."""
        ends: dict[str, list[socket.socket]] = {name: [] for name in self.names}
        for other in self.names[1:]:
            one, two = socket.socketpair()
            ends[self.names[0]].append(one)
            ends[other].append(two)
        return ends

    def _start_nodes(self, initrd: Path) -> None:
        network = self._network()
        try:
            for name in self.names:
                self._start_node(name, initrd, network[name])
        finally:
            for sockets in network.values():
                for s in sockets:
                    s.close()

    def _start_node(self, name: str, initrd: Path, network: list[socket.socket]) -> None:
        o = self.options
        n = Node(name, self.run_dir, klog.Watch(o.allowed))
        self.nodes[name] = n
        n.ended.add_done_callback(self._on_node_end)
        agent, agent_guest = socket.socketpair()
        fds = [agent_guest.fileno(), *(s.fileno() for s in network)]
        slots = fabric.fill_slots(o.topology, self.models)
        machine = Machine(
            name, self.names, o.topology, o.kernel, initrd, o.root,
            agent_fd=fds[0], console=n.console, cpus=o.cpus or (2 if o.nodes == 1 else 1),
            memory_mib=o.memory_mib, accel=o.accel, cpu=o.cpu,
            models={s: self.run_dir / f"{name}.{s}.sock" for s in slots}, disks=self._disks(name),
            shares=o.shares, net_fds=fds[1:],
            fabric_qmp=self.run_dir / f"{name}.qmp.sock" if self.models else None,
            control=self.control if self.models else None,
            kernel_args=o.kernel_args, extra=o.qemu_args,
        )  # fmt: skip
        n.start(o.program, machine, agent, fds)
        agent_guest.close()

    def _disks(self, name: str) -> dict[str, Path]:
        disks = {}
        for slot in self.options.topology.slots:
            if slot.kind != "disk" or slot.kind in self.models:
                continue
            disks[slot.name] = self.options.disks.qemu_file(
                self.run_dir, name, slot.name, DISK_BYTES
            )
        return disks

    async def _stop(self) -> None:
        self._leaving = True
        await asyncio.gather(*(n.stop() for n in self.nodes.values()))
        if self.fabric:
            await self.fabric.stop()
        if self.failed.done():
            self.failed.exception()
        loop = asyncio.get_running_loop()
        for sig in SIGNALS:
            loop.remove_signal_handler(sig)

    # Guests

    def filled(self) -> list[str]:
        """Slots with a device in them."""
        kinds = self.models | {"disk"}
        return [s.name for s in self.options.topology.slots if s.kind in kinds]

    def environment(self) -> dict[str, str]:
        """What every command in a guest may want to know about its lab."""
        t = self.options.topology
        addresses = t.addresses()
        env = {
            "PEERDMA_TOPOLOGY": t.name,
            "PEERDMA_NODES": " ".join(self.names),
            "PEERDMA_IOMMU": "1" if t.iommu else "0",
            "PEERDMA_BUILD": "/peerdma/build",
            "PEERDMA_SOURCE": "/peerdma/source",
            "PEERDMA_ARTEFACTS": "/run/artefacts",
        }
        for name in self.filled():
            env[f"PEERDMA_SLOT_{name.upper().replace('-', '_')}"] = addresses[name]
        return env

    def _modules(self) -> list[str]:
        wanted = list(self.options.modules)
        kinds = {s.kind for s in self.options.topology.slots if s.name in self.filled()}
        if "disk" in kinds:
            wanted.append("nvme")
        if "nic" in kinds:
            wanted.append("mlx5_ib")
        if "accel" in kinds and self.options.topology.iommu and self.options.bind:
            wanted += ["vfio-pci", "vfio_iommu_type1"]
        return list(dict.fromkeys(wanted))

    async def _prepare(self) -> None:
        await asyncio.gather(*(self._prepare_node(n) for n in self.nodes.values()))

    async def must(self, n: Node, argv: list[str]) -> None:
        status, out, err = await n.agent.output(argv)
        if status:
            said = (err or out).decode(errors="replace").strip()
            raise LabError(
                f"'{' '.join(argv)}' failed in node {n.name}: {said or f'status {status}'}"
            )

    async def _prepare_node(self, n: Node) -> None:
        if self.options.own_modules != OWN_MODULES:
            source = f"/peerdma/build/{self.options.own_modules}"
            await self.must(n, ["mount", "--bind", source, f"/peerdma/build/{OWN_MODULES}"])
        modules = self._modules()
        if modules:
            await self.must(n, ["modprobe", "-a", "--", *modules])
        if not (self.options.topology.iommu and self.options.bind):
            return
        for slot in self.options.topology.slots:
            if slot.kind == "accel" and slot.name in self.filled():
                await self._bind_vfio(n, self.options.topology.addresses()[slot.name])

    async def _bind_vfio(self, n: Node, address: str) -> None:
        await self.must(n, ["sh", "-c", BIND_SCRIPT, "sh", address])

    # Results

    async def settle(self) -> None:
        """Brings in what the kernels have logged by now."""
        alive = [n for n in self.nodes.values() if n.process and not n.process.ended.done()]
        await self.guard(asyncio.gather(*(n.agent.sync() for n in alive)))
        for n in self.nodes.values():
            n.scan_console()

    def alarms(self) -> list[str]:
        """What the kernels complained about since the last call."""
        return [f"node {n.name}: {text}" for n in self.nodes.values() for text in n.watch.take()]

    async def wait_alarm_fatal(self, grace: float) -> None:
        """Returns by raising, some time after a kernel reported what it may not survive."""
        while not any(n.watch.fatal for n in self.nodes.values()):
            waiters = [asyncio.ensure_future(n.alarmed.wait()) for n in self.nodes.values()]
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            for w in waiters:
                w.cancel()
            for n in self.nodes.values():
                n.alarmed.clear()
        await asyncio.sleep(grace)
        raise LabError(
            "a guest kernel reported a fatal error and the command did not end", status=EXIT_KERNEL
        )

    def logs(self) -> list[Path]:
        return sorted(
            p for p in self.run_dir.iterdir() if p.suffix == ".log" or p.name == "fabric.json"
        )

    def save_logs(self, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for path in self.logs():
            shutil.copy(path, target / path.name)



# SPDX-License-Identifier: MIT
"""PCI functions from a line of text: sysfs attributes and the bytes of config space.

    function BDF id=VVVV:DDDD class=CCCCCC [KEY=VALUE...]

    host=pci0000:00       host bridge, for one on a root bus
    below=BDF             the bridge above it
    type=root|up|down|bridge|endpoint|legacy     port type (legacy: no Express capability)
    driver=NAME  name=CLASS/NAME (infiniband/mlx5_0)  numa=N  group=N:TYPE  mask=BITS  power=D0
    acs=CONTROL[/CAPABILITY]      egress=HEX (vector)  port=N (number)
    bar0=ADDRESS+SIZE[:p][:64][:unset][:rebar=SIZE]   ... bar5
    window=FIRST-LAST[,...]       link=SPEED,WIDTH[,MAXSPEED,MAXWIDTH]
    command=HEX (default 6)       no-ro  ats  p2pmem=SIZE,FREE  config=LENGTH
    reserved=FIRST-LAST           of its IOMMU group; mgaw=BITS of its IOMMU
"""

import struct

TYPES = {"endpoint": 0, "root": 4, "up": 5, "down": 6, "bridge": 7}
SUFFIX = {"K": 10, "M": 20, "G": 30, "T": 40}


def size(text: str) -> int:
    return int(text[:-1]) << SUFFIX[text[-1]] if text[-1] in SUFFIX else int(text, 0)


class Function:
    def __init__(self, bdf: str, words: list[str]) -> None:
        self.bdf = bdf
        self.keys: dict[str, str] = {}
        for word in words:
            key, _, value = word.partition("=")
            self.keys[key] = value
        self.rebar: dict[int, tuple[int, int]] = {}

    def get(self, key: str, default: str = "") -> str:
        return self.keys.get(key, default)

    @property
    def is_bridge(self) -> bool:
        return self.get("type", "endpoint") in ("root", "up", "down", "bridge")

    def bars(self) -> list[str]:
        lines = ["0x%016x 0x%016x 0x%016x" % (0, 0, 0)] * 7
        for number in range(6):
            spec = self.get(f"bar{number}")
            if spec:
                lines[number] = self.bar(number, spec)
        if self.is_bridge:
            lines += self.windows()
        return lines

    def bar(self, number: int, spec: str) -> str:
        place, *marks = spec.split(":")
        address, _, length = place.partition("+")
        first, flags = int(address, 16), 0x40200
        flags |= 0x2000 if "p" in marks else 0
        flags |= 0x100000 if "64" in marks else 0
        flags |= 0x20000000 if "unset" in marks else 0
        for mark in marks:
            if mark.startswith("rebar="):
                self.rebar[number] = (size(length), size(mark[6:]))
        return "0x%016x 0x%016x 0x%016x" % (first, first + size(length) - 1, flags)

    def windows(self) -> list[str]:
        lines = []
        for window in filter(None, self.get("window").split(",")):
            first, _, last = window.partition("-")
            lines.append("0x%016x 0x%016x 0x%016x" % (int(first, 16), int(last, 16), 0x100200))
        return lines

    def extended(self) -> list[tuple[int, bytes]]:
        caps: list[tuple[int, bytes]] = []
        if "acs" in self.keys:
            control, _, capability = self.get("acs").partition("/")
            vector = bytes.fromhex(self.get("egress"))
            cap = int(capability, 16) if capability else 0x5f
            cap |= 0x20 | (8 * len(vector)) << 8 if vector else 0
            caps.append((0x0d, struct.pack("<HH", cap & 0xffff, int(control, 16)) + vector))
        if "ats" in self.keys:
            caps.append((0x0f, struct.pack("<HH", 0, 0x8000)))
        if self.rebar:
            caps.append((0x15, self.rebar_cap()))
        return caps

    def rebar_cap(self) -> bytes:
        data = b""
        for number, (now, most) in sorted(self.rebar.items()):
            sizes = 0
            step = min(now, most)
            while step <= most:
                sizes |= 1 << (step.bit_length() - 21 + 4)
                step <<= 1
            control = number | len(self.rebar) << 5 | (now.bit_length() - 21) << 8
            data += struct.pack("<II", sizes & 0xffffffff, control)
        return data

    def config(self) -> bytes:
        self.bars()  # finds the resizable ones
        data = bytearray(4096)
        vendor, device = (int(part, 16) for part in self.get("id").split(":"))
        code = int(self.get("class"), 16)
        command = int(self.get("command", "6"), 16)
        struct.pack_into("<HHHH", data, 0, vendor, device, command, 0x10)
        struct.pack_into("<BBBB", data, 8, 0, code & 0xff, code >> 8 & 0xff, code >> 16)
        data[0x0e] = 1 if self.is_bridge else 0
        if self.get("type") != "legacy":
            data[0x34] = 0x40
            kind = TYPES[self.get("type", "endpoint")]
            port = int(self.get("port", "0"))
            control = 0 if "no-ro" in self.keys else 0x10
            struct.pack_into("<BBHIHHI", data, 0x40, 0x10, 0, kind << 4 | 2, 0, control, 0,
                             port << 24)
        offset = 0x100
        caps = self.extended()
        for index, (number, body) in enumerate(caps):
            following = offset + 4 + (len(body) + 3 & ~3)
            more = following if index + 1 < len(caps) else 0
            struct.pack_into("<I", data, offset, number | 1 << 16 | more << 20)
            data[offset + 4:offset + 4 + len(body)] = body
            offset = following
        return bytes(data[:int(self.get("config", "4096"))])

    def link_attributes(self) -> dict[str, str]:
        parts = self.get("link").split(",")
        if len(parts) < 2:
            return {}
        parts += parts[len(parts) - 2:] if len(parts) == 2 else []
        return {"current_link_speed": f"{parts[0]} GT/s PCIe", "current_link_width": parts[1],
                "max_link_speed": f"{parts[2]} GT/s PCIe", "max_link_width": parts[3]}

    def attributes(self) -> dict[str, str]:
        vendor, device = self.get("id").split(":")
        found = {"vendor": f"0x{vendor}", "device": f"0x{device}",
                 "class": f"0x{self.get('class')}", "resource": "\n".join(self.bars()),
                 "numa_node": self.get("numa", "-1"), "dma_mask_bits": self.get("mask", "64"),
                 "power_state": self.get("power", "D0"), **self.link_attributes()}
        if "p2pmem" in self.keys:
            total, _, free = self.get("p2pmem").partition(",")
            found |= {"p2pmem/size": str(size(total)), "p2pmem/available": str(size(free))}
        if "mgaw" in self.keys:
            found["iommu/intel-iommu/cap"] = "%x" % (int(self.get("mgaw")) - 1 << 16)
        return found


class Machine:
    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.facts: dict[str, str] = {}

    def system(self, words: list[str]) -> None:
        for word in words:
            key, _, value = word.partition("=")
            self.facts[key] = value

    def function(self, bdf: str, words: list[str]) -> None:
        self.functions[bdf] = Function(bdf, words)

    def place(self, function: Function) -> str:
        above = function.get("below")
        if above:
            return f"{self.place(self.functions[above])}/{function.bdf}"
        return f"{function.get('host')}/{function.bdf}"

    def cpuinfo(self) -> str:
        flags = "fpu msr" + (" hypervisor" if self.facts.get("virtual") else "") + " lm"
        return (f"processor\t: 0\nvendor_id\t: {self.facts['cpu']}\n"
                f"cpu family\t: {int(self.facts['family'], 0)}\n"
                f"model name\t: {self.facts['model']}\nflags\t\t: {flags}\n"
                f"address sizes\t: {self.facts.get('bits', '46')} bits physical, "
                "48 bits virtual\n")

    def options(self) -> str:
        lines = []
        for option in filter(None, self.facts.get("options", "").split(",")):
            off = option.startswith("-")
            lines.append(f"# CONFIG_{option[1:]} is not set" if off else f"CONFIG_{option}=y")
        return "\n".join(lines) + "\n"

    def host_files(self) -> list[tuple[str, bytes]]:
        kernel = self.facts["kernel"]
        found = [("proc/sys/kernel/osrelease", f"{kernel}\n".encode()),
                 ("proc/cpuinfo", self.cpuinfo().encode())]
        if "options" in self.facts:
            found.append((f"boot/config-{kernel}", self.options().encode()))
        return found

    def group_files(self, function: Function) -> list[tuple[str, bytes]]:
        number, _, kind = function.get("group").partition(":")
        place = f"sys/kernel/iommu_groups/{number}"
        reserved = "0x00000000fee00000 0x00000000feefffff msi\n"
        for window in filter(None, function.get("reserved").split(",")):
            first, _, last = window.partition("-")
            reserved += "0x%016x 0x%016x direct\n" % (int(first, 16), int(last, 16))
        return [(f"{place}/type", f"{kind}\n".encode()),
                (f"{place}/reserved_regions", reserved.encode())]

    def files(self) -> list[tuple[str, bytes]]:
        if not self.functions:
            return []
        found = self.host_files()
        for function in self.functions.values():
            place = f"sys/devices/{self.place(function)}"
            found.append((f"{place}/config", function.config()))
            for name, value in function.attributes().items():
                found.append((f"{place}/{name}", f"{value}\n".encode()))
            if "name" in function.keys:
                found.append((f"{place}/{function.get('name')}/uevent", b""))
            if "group" in function.keys:
                found += self.group_files(function)
        return found

    def links(self) -> list[tuple[str, str]]:
        found = []
        for function in self.functions.values():
            place = self.place(function)
            found.append((f"sys/bus/pci/devices/{function.bdf}", f"../../../devices/{place}"))
            if "driver" in function.keys:
                found.append((f"sys/devices/{place}/driver",
                              f"../../../bus/pci/drivers/{function.get('driver')}"))
            if "group" in function.keys:
                number = function.get("group").partition(":")[0]
                found.append((f"sys/devices/{place}/iommu_group",
                              f"../../../kernel/iommu_groups/{number}"))
        return found

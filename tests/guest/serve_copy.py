#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Copies over the cable: right bytes, by the right route, and faults that are found."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from fabric import Json, ask
from nic_two import ping_until_answered, two_nodes
from programs import run, wait_for
from serve_lib import ACC0, ACC1, PEERDMA, Server, dump, make_tokens, on_b, peerdma
from tap import Tests

DATA = Path("/run/data")
BACK = Path("/run/back")
SIZE = 4 << 20
DEVICES = ("nic0", "acc0", "acc1")


def make_data(size: int = SIZE, seed: int = 1) -> bytes:
    """Every four bytes tell where they are."""
    words = ((i * 2654435761 + seed * 40503) & 0xFFFFFFFF for i in range(size // 4))
    data = b"".join(w.to_bytes(4, "little") for w in words)
    DATA.write_bytes(data)
    return data


def payload(node: str) -> dict[str, int]:
    """Bytes of data that the models of a node moved, by target and direction."""
    total: dict[str, int] = {}
    for device in DEVICES:
        for target, ways in ask("counters", f"{node}/{device}")["dma"]["data"].items():
            for way, count in ways.items():
                key = f"{target}.{way}"
                total[key] = total.get(key, 0) + count["bytes"]
    return total


def moved(node: str, before: dict[str, int]) -> dict[str, int]:
    return {k: v - before[k] for k, v in payload(node).items()}


def copy(*argv: str, status: int = 0) -> Json:
    return json.loads(peerdma("copy", "--json", *argv, status=status))


def peer_bytes(count: dict[str, int]) -> int:
    return sum(v for k, v in count.items() if k.startswith("peer_"))


def without_ipoib(do: Callable[[], None]) -> None:
    """Packets of IPoIB are data of the NIC like any other: none of them in the meantime."""
    command = ["ip", "link", "set", "ib0"]
    run(*command, "down")
    on_b(*command, "down")
    try:
        do()
    finally:
        on_b(*command, "up")
        run(*command, "up")
        run("ip", "neigh", "flush", "all")
        ping_until_answered()


def host_bytes(count: dict[str, int]) -> int:
    return count["host.read"] + count["host.write"]


def file_to_vram(by: str, most: int) -> None:
    """Node b's memory sees none of the data; by IPoIB comes what the two ends say to each other."""
    data = make_data(seed=len(by))
    with Server("--name", "vram", ACC0) as server:
        before = payload("b")
        result = copy(str(DATA), server.uri("vram", by))
        count = moved("b", before)
        assert result["done"] == SIZE, result
        assert host_bytes(count) <= most, count
        assert peer_bytes(count) == SIZE, count
        copy("--verify", "--size", str(SIZE), server.uri("vram", by), str(BACK))
        assert BACK.read_bytes() == data
        assert dump(server.uri("vram", by), 4096, 64) == data[4096 : 4096 + 64]


def file_to_vram_by_cm() -> None:
    file_to_vram("cm", 64 << 10)


def file_to_vram_by_numbers() -> None:
    without_ipoib(lambda: file_to_vram("numbers", 0))


def accelerator_to_accelerator() -> None:
    """Neither node's memory sees any of it."""
    data = make_data(seed=7)
    with Server("--name", "vram", ACC1) as server:
        uri = server.uri("vram", by="numbers")
        copy(str(DATA), ACC0)
        a, b = payload("a"), payload("b")
        result = copy("--size", str(SIZE), ACC0, uri + "+1M")
        a, b = moved("a", a), moved("b", b)
        assert result["engine"] == "nic", result
        assert host_bytes(a) == host_bytes(b) == 0, (a, b)
        assert peer_bytes(a) == peer_bytes(b) == SIZE, (a, b)
        copy(uri + f"+1M:{SIZE}", str(BACK))
        assert BACK.read_bytes() == data
        # And the other way round: a READ.
        copy("--verify", "--engine", "nic", uri + f"+1M:{SIZE}", ACC0 + "+16M")


def accelerators_alone() -> None:
    without_ipoib(accelerator_to_accelerator)


def parts_and_several() -> None:
    """Ranges of a region that is itself pieces, and two names."""
    data = make_data(seed=3)
    with Server("--name", "one", "--name", "two", ACC0 + "+64K:1M", ACC1) as server:
        copy("--size", "1M", str(DATA), server.uri("one"))
        copy("--verify", "--skip", "4096", str(DATA), server.uri("two"))
        assert dump(server.uri("one") + "+4097:3", 0, 3) == data[4097:4100]
        assert dump(server.uri("two"), SIZE - 5, 5) == data[-5:]
        said = peerdma("copy", str(DATA), server.uri("one"), status=1)
        assert "not inside the region" in said, said
        said = peerdma("copy", str(DATA), server.uri("one") + "+0:1M", status=1)
        assert "do not fit" in said, said
        opened = {(e["name"], e["len"]) for e in server.events("opened")}
        # No more than was copied, or looked at.
        assert ("two", SIZE) in opened, opened


def without_a_connection_manager() -> None:
    data = make_data(seed=4)
    with Server("--no-cm", "--name", "vram", ACC0) as server:
        assert not server.events("listening")[0]["connection_manager"]
        copy("--verify", str(DATA), server.uri("vram"))
        assert dump(server.uri("vram"), 0, 64) == data[:64]


def break_bus(point: str, action: str, after: int, count: int = 1) -> None:
    """What the NIC of node b moves; count 0: from then on."""
    more = {"after": after, "count": count, "permille": 1000}
    ask("fault", "b/nic0", point=point, action=action, **more)


def silent_faults() -> None:
    """The bus loses or spoils what the NIC of node b writes into its peer: found, and where."""
    data = make_data(seed=5)
    with Server("--name", "vram", ACC0) as server:
        copy("--verify", str(DATA), server.uri("vram"))
        for point, action in (("dma.peer.write", "drop"), ("dma.peer.write", "corrupt")):
            make_data(seed=6 + len(action))
            break_bus(point, action, after=3)
            result = copy("--verify", str(DATA), server.uri("vram"), status=10)
            ask("fault", "b/nic0", point=point, action="none")
            assert not result["ok"], result
            wrong = dump_all(server)
            want = DATA.read_bytes()
            bad = [i for i, (w, g) in enumerate(zip(want, wrong, strict=True)) if w != g]
            assert bad, action
            assert result["first_bad"] == bad[0], (result, bad[0])
            assert result["last_bad"] == bad[-1], (result, bad[-1])
            assert result["bad_bytes"] == len(bad), (result, len(bad))
        copy("--verify", str(DATA), server.uri("vram"))
        # Said to a person, with the first bad offset.
        break_bus("dma.peer.write", "drop", after=2)
        make_data(seed=9)
        said = peerdma("copy", "--verify", str(DATA), server.uri("vram"), status=10)
        ask("fault", "b/nic0", point="dma.peer.write", action="none")
        assert re.search(r"bytes differ: the first at offset 0x[0-9a-f]+", said), said
    assert data


def dump_all(server: Server) -> bytes:
    copy("--size", str(SIZE), server.uri("vram"), str(BACK))
    return BACK.read_bytes()


def target_file_is_whole_or_untouched() -> None:
    make_data()
    BACK.write_bytes(b"as it was")
    with Server("--name", "vram", ACC0) as server:
        copy(str(DATA), server.uri("vram"))
        break_bus("dma.peer.read", "error", after=1, count=0)
        peerdma("copy", "--size", str(SIZE), server.uri("vram"), str(BACK), status=1)
        ask("fault", "b/nic0", point="dma.peer.read", action="none")
        assert BACK.read_bytes() == b"as it was"
        assert not list(BACK.parent.glob("back.part*"))
        copy("--size", str(SIZE), server.uri("vram"), str(BACK))
        assert BACK.read_bytes() == DATA.read_bytes()


def watch_finds_it() -> bool:
    """On the server's machine, without being told where it is."""
    said = on_b(PEERDMA, "watch", "--json", "--count", "5", "--interval", "50")
    lines = [json.loads(line) for line in said.splitlines()]
    return ["vram"] in [line["names"] for line in lines if line["event"] == "listening"]


def other_commands() -> None:
    with Server("--name", "vram", ACC0) as server:
        copy("--size", "64K", "host:64K", server.uri("vram"))
        text = peerdma("dump", "--len", "64", server.uri("vram"))
        assert text.splitlines()[:2] == [
            "00000000  " + "00 " * 8 + " " + "00 " * 8 + " |................|",
            "*",
        ], text
        rows = json.loads(
            peerdma("bench", "--json", "--max", "64K", "--samples", "3", ACC0, server.uri("vram"))
        )["rows"]
        assert [r["size"] for r in rows] == [4096, 16384, 65536], rows
        assert all(r["direct"]["median_ns"] > 0 and r["staged"]["median_ns"] > 0 for r in rows)
        lines = peerdma("watch", "--json", "--count", "2", "--interval", "50").splitlines()
        ports = [json.loads(line) for line in lines]
        assert [p["event"] for p in ports] == ["port", "port"], ports
        assert ports[0]["active"], ports
        wait_for("watch finds the server", watch_finds_it)
        server.quit()
    assert on_b("ls", "/run/peerdma") == ""
    wait_for("the port is free", lambda: "refused" in peerdma("dump", server.uri("vram"), status=1))


def tests() -> Tests:
    make_tokens()
    return {
        "file_to_vram_by_cm": file_to_vram_by_cm,
        "file_to_vram_by_numbers": file_to_vram_by_numbers,
        "accelerator_to_accelerator": accelerators_alone,
        "parts_and_several": parts_and_several,
        "without_a_connection_manager": without_a_connection_manager,
        "silent_faults": silent_faults,
        "target_file_is_whole_or_untouched": target_file_is_whole_or_untouched,
        "other_commands": other_commands,
    }


sys.exit(two_nodes(tests))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What peerdma serve refuses: tokens, networks, names, ranges, rights, keys that are guessed."""

import socket
import sys

from nic_two import ADDRESS, two_nodes
from programs import run, wait_for
from serve_lib import ACC0, BUILD, OTHER_TOKEN, TOKEN, Server, dump, make_tokens, peerdma
from tap import Tests

RANGE_OFF, RANGE_LEN = 0x100000, 0x10000


def tokens() -> None:
    with Server("--name", "vram", ACC0) as server:
        uri = server.uri("vram")
        said = peerdma("dump", uri, status=1, token=None)
        assert "token is needed" in said, said
        said = peerdma("dump", uri, status=1, token=OTHER_TOKEN)
        assert "does not accept the token" in said, said
        wait_for("refused", lambda: server.events("refused"))
        assert not server.events("joined")
        TOKEN.chmod(0o644)
        said = peerdma("dump", uri, status=1)
        TOKEN.chmod(0o600)
        assert "its owner alone may read" in said, said
        peerdma("dump", uri)
        server.wait_clients(0)


def serving_needs_a_token() -> None:
    said = peerdma("serve", "host:1M", status=2, token=None)
    assert "--token-file is needed" in said, said


def networks() -> None:
    with Server("--name", "vram", "--allow", "192.0.2.0/24", ACC0) as server:
        peerdma("dump", server.uri("vram"), status=1)
        server.wait_event("refused", "no network that may connect")
        assert not server.events("joined")
    with Server("--name", "vram", "--allow", "10.88.0.0/24", ACC0) as server:
        peerdma("dump", server.uri("vram"))
        peerdma("dump", server.uri("vram", by="numbers"), status=1)
    said = peerdma("serve", "--allow", "10.0.0.1/8", "host:1M", status=2)
    assert "bits set behind" in said, said


def names_and_ranges() -> None:
    with Server("--name", "vram", ACC0 + "+0:8M") as server:
        said = peerdma("dump", server.uri("nothing"), status=1)
        assert "serves no 'nothing'" in said, said
        said = peerdma("dump", server.uri("vram") + "+8M", status=1)
        assert "not inside the region" in said, said
        said = peerdma("dump", server.uri("vram") + "+4M:4097K", status=1)
        assert "not inside the region" in said, said
        peerdma("dump", server.uri("vram") + "+4M:4M")
        assert server.stats()["denied"] == 2


def read_only() -> None:
    with Server("--name", "vram", "--read-only", ACC0) as server:
        before = dump(server.uri("vram"), 0, 4096)
        said = peerdma("copy", "--size", "4K", "host:4K", server.uri("vram"), status=1)
        assert "read-only" in said, said
        assert dump(server.uri("vram"), 0, 4096) == before


def attacks() -> None:
    """Every attempt ends in an error, and no byte outside is changed."""
    with open("/run/marks", "wb") as file:
        file.write(bytes((i * 7 + (i >> 8) * 13 + (i >> 16)) & 0xFF for i in range(2 << 20)))
    with Server("--name", "vram", ACC0 + "+0:2M") as server:
        peerdma("copy", "--verify", "/run/marks", server.uri("vram"))
        for host in (ADDRESS["b"], "b"):
            attack = f"{BUILD}/tests/guest/serve_attack"
            said = run(attack, host, str(server.port), str(TOKEN), "vram")
            assert "not ok" not in said and "Bail" not in said, said
        # Eight bytes in the range were written to prove that the right request works.
        peerdma("copy", server.uri("vram"), "/run/back")
        with open("/run/marks", "rb") as one, open("/run/back", "rb") as two:
            want, got = bytearray(one.read()), two.read()
        want[RANGE_OFF + RANGE_LEN - 8 : RANGE_OFF + RANGE_LEN] = b"\xee" * 8
        bad = [i for i, (w, g) in enumerate(zip(want, got, strict=True)) if w != g]
        assert not bad, f"{len(bad)} bytes changed, the first at {bad[0]:#x}"
        stats = server.wait_clients(0)
        assert stats["violations"] >= 10, stats
        assert stats["opens"] == 0, stats


def nonsense_on_the_port() -> None:
    """Strangers that say something else, say nothing, or leave at once."""
    with Server("--name", "vram", ACC0) as server:
        silent = [socket.create_connection(("b", server.port), timeout=20) for _ in range(40)]
        for text in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\0" * 9):
            with socket.create_connection(("b", server.port), timeout=20) as link:
                try:
                    link.sendall(text)
                    link.shutdown(socket.SHUT_WR)
                    while link.recv(4096):
                        pass
                except ConnectionError:
                    pass  # it need not listen to the end
        socket.create_connection(("b", server.port), timeout=20).close()
        peerdma("dump", server.uri("vram"))
        # Those who prove nothing are shown the door after ten seconds.
        assert silent[0].recv(100) == b""
        for link in silent:
            link.close()
        wait_for("nobody pending", lambda: server.stats()["pending"] == 0)
        assert server.stats()["refused"] >= 40


def tests() -> Tests:
    make_tokens()
    return {
        "tokens": tokens,
        "serving_needs_a_token": serving_needs_a_token,
        "networks": networks,
        "names_and_ranges": names_and_ranges,
        "read_only": read_only,
        "attacks": attacks,
        "nonsense_on_the_port": nonsense_on_the_port,
    }


sys.exit(two_nodes(tests))

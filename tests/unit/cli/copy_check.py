#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""copy, dump, bench, watch and serve on a machine without any device: files and host memory.

    copy_check.py PEERDMA
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

PEERDMA = sys.argv[1]
DATA = bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(3 * 4096 + 17))


def run(*words: str, status: int = 0, token: str = "") -> str:
    """Return: all it said."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PEERDMA_TOKEN_FILE": token}
    done = subprocess.run(
        [PEERDMA, *words], capture_output=True, text=True, check=False, timeout=60, env=env
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, f"{words}: {done.returncode}, not {status}\n{said}"
    return said


def says(text: str, *words: str, status: int) -> None:
    said = run(*words, status=status)
    assert text in said, f"{words}: '{text}' is not in: {said}"


def whole_file(here: pathlib.Path) -> None:
    source, target = here / "source", here / "target"
    source.write_bytes(DATA)
    result = json.loads(run("copy", "--json", "--verify", str(source), str(target)))
    assert target.read_bytes() == DATA
    assert result["ok"] and result["verified"] and result["done"] == len(DATA), result
    # Once more over a file that is longer, has a mode of its own, and is reached by a link.
    target.write_bytes(DATA * 3)
    target.chmod(0o640)
    link = here / "link"
    link.symlink_to(target)
    run("copy", str(source), str(link))
    assert target.read_bytes() == DATA
    assert target.stat().st_mode & 0o7777 == 0o640
    assert link.is_symlink()
    assert sorted(p.name for p in here.iterdir()) == ["link", "source", "target"]


def parts(here: pathlib.Path) -> None:
    source, target = here / "source", here / "target"
    source.write_bytes(DATA)
    target.write_bytes(b"x" * len(DATA))
    run("copy", f"file:{source}+4096:100", f"file:{target}+1000:100")
    want = b"x" * 1000 + DATA[4096:4196] + b"x" * (len(DATA) - 1100)
    assert target.read_bytes() == want
    run("copy", "--skip", "8192", "--size", "10", str(source), str(target))
    assert target.read_bytes() == want[:8192] + DATA[8192:8202] + want[8202:]


def refused(here: pathlib.Path) -> None:
    source, target = here / "source", here / "target"
    source.write_bytes(DATA)
    target.write_bytes(b"as it was")
    says("too small", "copy", str(source), "host:4K", status=1)
    says("shorter", "copy", "--size", "1M", str(source), str(target), status=1)
    says("nothing is left", "copy", "--skip", "1M", str(source), str(target), status=2)
    says("column 1", "copy", "bogus:1", "host:1M", status=2)
    says("is accel, nic", "copy", "--engine", "warp", str(source), str(target), status=2)
    run("copy", "--engine", "accel", str(source), str(target), status=20)
    says("No such file", "copy", str(here / "nothing"), str(target), status=1)
    says("token", "copy", str(source), "rdma://127.0.0.1:1/x", status=1)
    assert target.read_bytes() == b"as it was"
    assert sorted(p.name for p in here.iterdir()) == ["source", "target"]


def interrupted(here: pathlib.Path) -> None:
    """Ctrl-C leaves the old file, no other one, and a status that tells of the signal."""
    source, target = here / "source", here / "target"
    with open(source, "wb") as file:
        file.truncate(8 << 30)
    target.write_bytes(b"as it was")
    argv = [PEERDMA, "copy", "--engine", "cpu", str(source), str(target)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        end = time.monotonic() + 30
        while not list(here.glob("target.part*")):
            assert time.monotonic() < end and child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == -signal.SIGINT, child.returncode
    assert target.read_bytes() == b"as it was"
    assert sorted(p.name for p in here.iterdir()) == ["source", "target"]


def dump(here: pathlib.Path) -> None:
    source = here / "source"
    source.write_bytes(DATA + bytes(64))
    text = run("dump", "--off", str(len(DATA) - 16), "--len", "80", str(source))
    lines = text.splitlines()
    assert lines[0].split("  ")[1] == DATA[-16:-8].hex(" "), text
    assert lines[1].endswith("|................|") and lines[2] == "*", text
    assert lines[-1] == f"{len(DATA) + 64:08x}", text
    got = json.loads(run("dump", "--json", "--off", "5", "--len", "7", str(source)))
    assert bytes.fromhex(got["hex"]) == DATA[5:12], got
    raw = subprocess.run(
        [PEERDMA, "dump", "--raw", "--len", "12K", str(source)], capture_output=True, check=True
    )
    assert raw.stdout == DATA[: 12 << 10]
    says("behind the region's end", "dump", "--off", "1M", str(source), status=1)
    says("beyond the region's end", "dump", "--len", "1M", str(source), status=1)


def bench(here: pathlib.Path) -> None:
    source = here / "source"
    source.write_bytes(bytes(1 << 20))
    said = run("bench", "--json", "--max", "64K", "--samples", "3", "-e", "cpu,direct-io",
               str(source), "host:1M")
    rows = json.loads(said)["rows"]
    assert [r["size"] for r in rows] == [4096, 16384, 65536], rows
    for row in rows:
        for way in ("direct", "staged"):
            assert 0 < row[way]["best_ns"] <= row[way]["median_ns"] <= row[way]["worst_ns"], row
    says("--samples", "bench", "--help", status=0)
    says("out of its range", "bench", "--samples", "1", str(source), "host:1M", status=2)


def watch_a_log(here: pathlib.Path) -> None:
    """Whole lines that are objects, whatever else is in the file."""
    log = here / "log"
    event = {"event": "joined", "peer": "192.0.2.1:5", "text": "token 'me' proven"}
    log.write_text(f"{json.dumps(event)}\nperson speaking\n[1]\n{json.dumps(event)[:20]}")
    words = ["watch", "--interval", "10", "--count", "1", "--serve-log", str(log)]
    lines = [json.loads(line) for line in run(*words, "--json").splitlines()]
    assert [line for line in lines if line["event"] != "port"] == [event], lines
    says("serve joined  192.0.2.1:5: token 'me' proven", *words, status=0)
    says("No such file", *words[:-1], str(here / "nothing"), status=1)
    says("from 10 to", "watch", "--interval", "1", status=2)


def watch_servers(here: pathlib.Path) -> None:
    """A server is found by its socket, and one that was killed by nobody listening at it."""
    os.environ["PEERDMA_RUN_DIR"] = str(here)
    event = {"event": "joined", "peer": "192.0.2.1:5", "text": "token 'me' proven"}
    with socket.socket(socket.AF_UNIX) as gone, socket.socket(socket.AF_UNIX) as server:
        gone.bind(str(here / "serve-1.sock"))
        server.bind(str(here / "serve-2.sock"))
        server.listen()
        words = [PEERDMA, "watch", "--interval", "10", "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
            connection, _ = server.accept()
            connection.sendall(f"{json.dumps(event)}\nperson speaking\n".encode())
            connection.close()
            assert watcher.stdout
            lines = []
            while not lines or lines[-1]["event"] != "serve gone":
                line = json.loads(watcher.stdout.readline())
                lines += [line] if line["event"] != "port" else []
            watcher.send_signal(signal.SIGINT)
    del os.environ["PEERDMA_RUN_DIR"]
    first = sorted((line["event"], line["region"]) for line in lines[:2])
    assert first == [("serve found", str(here / "serve-2.sock")),
                     ("serve stale", str(here / "serve-1.sock"))], lines
    assert event in lines and len(lines) == 4, lines


def tokens(here: pathlib.Path) -> None:
    path = here / "token"
    run("serve", "--new-token", str(path), "--name", "me")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="ascii").startswith("me:")
    says("File exists", "serve", "--new-token", str(path), status=1)
    says("--token-file is needed", "serve", "host:1M", status=2)
    says("bits set behind", "serve", "-t", str(path), "--allow", "10.0.0.1/8", "host:1M", status=2)
    path.chmod(0o644)
    says("its owner alone", "serve", "-t", str(path), "host:1M", status=1)


TESTS: list[Callable[[pathlib.Path], None]] = [
    whole_file, parts, refused, interrupted, dump, bench, watch_a_log, watch_servers,
    tokens,
]


def main() -> int:
    failed = 0
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as here:
            try:
                test(pathlib.Path(here))
                print(f"ok {number} - {test.__name__}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                failed += 1
                for line in str(error).splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {test.__name__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

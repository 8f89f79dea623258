# SPDX-License-Identifier: MIT
"""A lab whose node a answers requests of a benchmark on the host."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent
MARK = "answer "


class BenchError(Exception):
    pass


class Session:
    """bench/nic_guest.py in every node of a lab; the lab ends with the session."""

    def __init__(self, build: str, topology: str, nodes: int):
        # pylint: disable=consider-using-with
        argv = [str(SOURCE / "lab/peerdma-lab"), "run", "--build", build, "-t", topology]
        argv += ["-n", str(nodes), "--on", "all", "--timeout", "1800"]
        argv += ["--modules", "ib_ipoib,rdma_ucm,rdma_rxe,dummy", "--", "python3"]
        argv += ["/peerdma/source/bench/nic_guest.py"]
        self.prefix = "a: " if nodes > 1 else ""
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> "Session":
        self.ask(do="ready")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            assert self.process.stdin
            self.process.stdin.close()
            self.process.wait(timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait()

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        other = []
        for line in self.process.stdout:
            if line.startswith(self.prefix + MARK):
                answer = json.loads(line[len(self.prefix + MARK) :])
                if "error" in answer:
                    raise BenchError(answer["error"])
                return answer
            other.append(line)
        raise BenchError("the lab ended:\n" + "".join(other[-20:]))

    def fabric(self) -> int:
        """Return: the process of the models."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, rest = stat.read_text(encoding="ascii", errors="replace").rpartition(")")
            except OSError:
                continue
            if "(peerdma-fabric" in head and int(rest.split()[1]) == self.process.pid:
                return int(stat.parent.name)
        raise BenchError("the lab has no fabric process")


def default_build() -> str:
    return os.environ.get("PEERDMA_BUILD", str(SOURCE / "build"))

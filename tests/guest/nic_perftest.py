#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every program of perftest that InfiniBand has, one node talking to itself.

--full: each bandwidth program with 1, 8 and 64 queue pairs, more iterations, more sweeps of sizes.

Not run: the latency programs with -e. They arm the completion queue before they take what it holds,
as the device then signals at once, look once after each signal, and give up when a completion
comes later than that signal: "Couldn't post send".
"""

import sys

from nic_tools import HERE, Perf, bandwidths, latencies, perf_tests, tap, wait_active


def special() -> list[Perf]:
    return [
        Perf("ib_read_bw", args=["-a"], iters=5),
        Perf("ib_write_bw", args=["-b"], qps=8, size=65536),
        Perf("ib_send_bw", args=["-b"], qps=8, size=65536),
        Perf("ib_read_bw", args=["-e"], qps=8),
        Perf("ib_send_bw", args=["-e"], qps=8),
        Perf("ib_send_bw", "UD", args=["-e"], qps=8, size=2048),
        Perf("ib_atomic_bw", args=["-e"], qps=8),
        Perf("ib_send_bw", args=["--use-srq"], qps=8),
        Perf("ib_write_bw", args=["--write_with_imm"], qps=8),
        Perf("ib_write_bw", args=["--odp"]),
    ]


def full() -> list[Perf]:
    runs = [p for qps in (1, 8, 64) for p in bandwidths(qps, 65536, 50)]
    sweeps = [("ib_write_bw", "RC"), ("ib_write_bw", "UC"), ("ib_send_bw", "RC")]
    runs += [Perf(p, s, args=["-a"], iters=10) for p, s in sweeps]
    return runs + latencies(8, 1000) + special()


def quick() -> list[Perf]:
    few = [p for qps in (1, 8) for p in bandwidths(qps, 16384, 20) if p.service == "RC"]
    return few + bandwidths(64, 16384, 10) + latencies(8, 50) + special()


def main() -> int:
    wait_active()
    return tap(perf_tests(HERE, full() if "--full" in sys.argv else quick()))


sys.exit(main())

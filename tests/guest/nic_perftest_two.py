#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every program of perftest that InfiniBand has, over the cable: node a asks, node b serves.

--full: each bandwidth program with 1, 8 and 64 queue pairs, all of them also by rdma_cm.
"""

import sys

from nic_tools import Perf, bandwidths, latencies, perf_tests
from nic_two import peer, two_nodes


def by_cm(runs: list[Perf]) -> list[Perf]:
    """perftest refuses UC and XRC there."""
    for perf in runs:
        perf.cm = True
    return [p for p in runs if p.service in ("RC", "UD")]


def full() -> list[Perf]:
    runs = [p for qps in (1, 8, 64) for p in bandwidths(qps, 65536, 50)]
    runs += [Perf("ib_write_bw", args=["-a"], iters=10)] + latencies(8, 1000)
    return runs + by_cm(bandwidths(1, 65536, 50) + bandwidths(8, 65536, 50) + latencies(8, 1000))


def quick() -> list[Perf]:
    one = [p for p in bandwidths(1, 65536, 20) if p.service == "RC"]
    many = [p for p in bandwidths(64, 16384, 10) if p.service in ("RC", "UD")]
    more = [
        Perf("ib_write_bw", "UC", 8),
        Perf("ib_send_bw", "XRC", 8),
        Perf("ib_send_bw", args=["-b"], qps=8),
        Perf("ib_read_bw", args=["-e"], qps=8),
    ]
    return one + many + more + latencies(8, 50) + by_cm(bandwidths(8, 16384, 20) + latencies(8, 50))


sys.exit(two_nodes(lambda: perf_tests(peer(), full() if "--full" in sys.argv else quick())))

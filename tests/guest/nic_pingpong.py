# SPDX-License-Identifier: MIT
"""The pingpongs of libibverbs: polled and sleeping for events, every byte compared."""

from collections.abc import Callable

from nic_tools import Place, device, next_port, pair
from tap import Tests

ITERS = 200


def pingpong(place: Place, kind: str, *args: str) -> Callable[[], None]:
    def run() -> None:
        port = next_port()
        argv = [f"ibv_{kind}_pingpong", "-d", device(), "-p", str(port), *args]
        said = pair(place, argv, [*argv, place.name], port)
        if kind != "xsrq":
            assert f"{ITERS} iters in" in said, said

    return run


def pingpongs(place: Place) -> Tests:
    # -c compares what came; to xsrq it is the number of clients. It tells of iterations one by one.
    usual = ["-c", "-n", str(ITERS)]
    tests: Tests = {}
    for kind in ("rc", "uc", "ud", "srq", "xsrq"):
        args = ["-n", "50"] if kind == "xsrq" else usual
        tests[f"{kind}_pingpong_polled"] = pingpong(place, kind, *args)
        tests[f"{kind}_pingpong_with_events"] = pingpong(place, kind, "-e", *args)
    for kind in ("rc", "uc", "srq"):
        large = ["-s", "100000", *usual]
        tests[f"{kind}_pingpong_of_many_packets"] = pingpong(place, kind, *large)
    tests["rc_pingpong_with_odp"] = pingpong(place, "rc", "-o", *usual)
    tests["rc_pingpong_with_implicit_odp"] = pingpong(place, "rc", "-O", *usual)
    tests["rc_pingpong_with_time_stamps"] = pingpong(place, "rc", "-t", *usual)
    tests["rc_pingpong_by_new_send"] = pingpong(place, "rc", "-N", *usual)
    tests["rc_pingpong_in_device_memory"] = pingpong(place, "rc", "-j", *usual)
    return tests

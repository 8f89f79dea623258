# SPDX-License-Identifier: MIT
"""Values of the command line: each takes a text and returns a value, or says what is wrong."""

import argparse
import re

from . import disks
from .lab import NODES_MAX

SECONDS_MAX = 1e7


def size_mib(text: str) -> int:
    match = re.fullmatch(r"(\d+)([MG])", text)
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 512M or 2G")
    return int(match[1]) * (1024 if match[2] == "G" else 1)


def size_text(text: str) -> str:
    if not re.fullmatch(r"\d+[KMG]?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 256M")
    return text


def namespaces(text: str) -> tuple[disks.Namespace, ...]:
    try:
        return disks.parse_sizes(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of up to {disks.NAMESPACES_MAX} sizes such as 1G or 256M:4096"
        ) from None


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds (0: no limit)")
    return value


def variable(text: str) -> tuple[str, str]:
    name, sep, value = text.partition("=")
    if not sep or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def pattern(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no regular expression: {error}") from None


def number(low: int, high: int):
    def parse(text: str) -> int:
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return int(text)

    return parse


nodes = number(1, NODES_MAX)


def words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]

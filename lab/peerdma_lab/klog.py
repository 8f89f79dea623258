# SPDX-License-Identifier: MIT
"""The kernel log of a guest: taking records apart, and telling which of them mean that something is
broken.
"""

import re
from dataclasses import dataclass, field

# Each starts a report of the kernel about itself. What user space writes to /dev/kmsg counts as
# well.
ALARMS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^WARNING: ",
        r"\bBUG: ",
        r"\bkernel BUG at ",
        r"\bOops: ",
        r"^Oops\b",
        r"\bgeneral protection fault\b",
        r"^Kernel panic - ",
        r"\bINFO: task .* blocked for more than ",
        r"\bINFO: rcu_\w+ (self-)?detected ",
        r"\bINFO: trying to register non-static key",
        r"\bINFO: (possible|lockdep|suspicious) ",
        r"\bsuspicious RCU usage",
        r"\bBUG \S+ .*: ",
        r"^UBSAN: ",
        r"\bKASAN: ",
        r"\bKFENCE: ",
        r"\bKCSAN: ",
        r"\bDEBUG_LOCKS_WARN_ON\b",
        r"^refcount_t: ",
        r"\blist_(add|del) corruption\b",
        r"\bunable to handle (kernel )?(page fault|paging request|NULL pointer)",
        r"\bpage allocation failure\b",
        r"^Out of memory: ",
        r"^\S+ invoked oom-killer",
        r"\bstack-protector: Kernel stack is corrupted",
        r"^sysfs: cannot create duplicate filename",
        r"^unregister_netdevice: waiting for ",
        r"^peerdma-lab: kernel log records were lost",
    )
)
# After these the guest may be unable to finish anything.
FATAL = re.compile(
    r"\bBUG: |\bkernel BUG at |\bOops|general protection fault|Kernel panic|unable to handle"
)
CONSOLE_STAMP = re.compile(r"^\[\s*\d+\.\d+\](\[\s*[TC]\d+\])?\s?")


@dataclass(frozen=True)
class Record:
    level: int
    seconds: float
    text: str

    def line(self) -> str:
        return f"[{self.seconds:12.6f}] <{self.level}> {self.text}"


def _unescape(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), text)


def parse_record(raw: bytes) -> Record:
    """One record as /dev/kmsg gives it: 'priority,sequence,microseconds,flags;text' and lines of
    properties.
    """
    text = raw.decode(errors="replace")
    head, _, rest = text.partition(";")
    message = rest.split("\n", 1)[0]
    fields = head.split(",")
    try:
        return Record(int(fields[0]) & 7, int(fields[2]) / 1e6, _unescape(message))
    except (ValueError, IndexError):
        return Record(4, 0.0, text.strip())


def is_alarm(text: str) -> bool:
    return any(pattern.search(text) for pattern in ALARMS)


@dataclass
class Watch:
    """Collects alarms of one guest from its log and from its console, each once."""

    allowed: tuple[re.Pattern[str], ...] = ()
    alarms: list[str] = field(default_factory=list)
    fatal: bool = False

    def feed(self, text: str) -> bool:
        """Return: whether this line is a new alarm."""
        if not is_alarm(text) or any(pattern.search(text) for pattern in self.allowed):
            return False
        if text in self.alarms:
            return False
        self.alarms.append(text)
        self.fatal = self.fatal or bool(FATAL.search(text))
        return True

    def feed_console(self, data: str) -> None:
        for line in data.splitlines():
            self.feed(CONSOLE_STAMP.sub("", line.rstrip("\r")))

    def take(self) -> list[str]:
        """The alarms so far; they are not told again."""
        found, self.alarms = self.alarms, []
        return found

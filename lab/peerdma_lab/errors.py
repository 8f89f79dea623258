# SPDX-License-Identifier: MIT
"""Failures of the lab itself, and the exit statuses by which a caller tells them from those of the
command.
"""

EXIT_USAGE = 2
EXIT_KERNEL = 123
EXIT_TIMEOUT = 124
EXIT_LAB = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL = 128


class LabError(Exception):
    """One sentence for the user, what to try, and the exit status of the launcher."""

    def __init__(self, what: str, hint: str = "", status: int = EXIT_LAB) -> None:
        super().__init__(what)
        self.hint = hint
        self.status = status

    @property
    def interrupted(self) -> bool:
        """Whether the user wanted the end."""
        return self.status > EXIT_SIGNAL

    def text(self) -> str:
        return f"{self}: {self.hint}" if self.hint else str(self)

"""
A program that gets its listening socket as systemd would give it.

Run as ``python activated.py FD ARGUMENTS…``: Python with those arguments,
in the same process, with the socket FD as its descriptor 3.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.dup2(int(sys.argv[1]), 3)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606

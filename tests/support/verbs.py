"""Verbs of the console command in processes that need not import everything again."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_turn = threading.Lock()


def run_verb(
    arguments: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """One verb to its end, as `subprocess.run` would; -14 for one that took over a minute."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        order = {"arguments": list(arguments), "environ": dict(environ)}
        code = _answer(json.dumps(order | {"out": str(out), "err": str(err)}))
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _answer(order: str) -> int:
    server = _server()
    assert server.stdin and server.stdout
    with _turn:
        server.stdin.write(order + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    """One for all tests of this process."""
    command = [sys.executable, str(Path(__file__).with_name("verb_server.py"))]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server

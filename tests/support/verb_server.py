"""
Forks a child per verb: orders on stdin as lines of JSON, exit codes on stdout.

Run by `verbs`. It imports the command line once; a child is a process like any
other, with the arguments, environment, folder and files of its order.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

# The source beside these tests, as `python -m service` takes it there.
sys.path.insert(0, str(Path(__file__).parents[2]))
from service.cli import main

SECONDS = 60


def serve() -> None:
    """Until stdin ends; a child that takes longer than a minute is killed."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(order: dict[str, Any]) -> NoReturn:
    signal.alarm(SECONDS)
    os.environ.clear()
    os.environ.update(order["environ"])
    for number, path in enumerate((os.devnull, order["out"], order["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    code = _code_of(order["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _code_of(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve()

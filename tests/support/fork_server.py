"""
Starts `python -m MODULE ARGUMENT …` as a fork of a process that has imported everything.

`processes` runs it and holds the protocol: one order per line on stdin, as JSON; one
line on stdout for each. A child is a process like any other, with the arguments,
environment and log files of its order, but it starts in milliseconds.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import signal
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any

import service.sandbox.app
import service.web.server  # noqa: F401
from service.cli.verbs import VERBS

#: Of Linux's prctl(2): the signal that this process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def serve() -> None:
    """Answer orders until stdin ends; then kill the children that are left."""
    # Ctrl-C reaches the whole group: the tests end first, then stdin does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for target in VERBS.values():
        import_module(f"service.cli.{target.partition(':')[0]}")
    gc.freeze()
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "exited" in order:
            _, status = os.waitpid(order["exited"], 0)
            children.remove(order["exited"])
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        child = os.fork()
        if child == 0:
            _become(order)
        children.add(child)
        print(child, flush=True)
    for child in children:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _become(order: dict[str, Any]) -> None:
    """Turn this fork into the process of the order; does not return."""
    os.setsid()
    # Should the server be killed, nobody would end its children.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(order["seconds"])
    os.environ.clear()
    os.environ.update(order["environ"])
    for descriptor, path in enumerate((os.devnull, order["out"], order["err"])):
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(path, flags, 0o600), descriptor)
    if "PYTHONUNBUFFERED" in os.environ:
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    code = _run(order["module"], order["arguments"])
    # What the interpreter does at its end, without the slow teardown of its modules.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(module: str, arguments: list[str]) -> int:
    """Run the module as `__main__`; its exit code."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve()

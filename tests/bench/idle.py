"""
What the service costs without work: memory (PSS) and processor time of web and worker.

``python -m bench.idle [--jobs N] [--seconds S]``, from tests/. So many jobs wait at their vendor.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from support.servers import eventually

from bench.deployment import Deployment
from bench.waiting import NOWHERE, fill

TREE = Path(__file__).parents[2]
PATIENCE = 120.0


def megabytes(pid: int) -> float:
    """The memory of a process; what it shares with others counts by its part."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) / 1024


def main() -> None:
    """Print a line of JSON for each of the two."""
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        Deployment(TREE, Path(folder), NOWHERE) as clipbell,
    ):
        fill(clipbell, given.jobs)
        clipbell.start_web()
        verbs = ["serve", *clipbell.start_workers(1)]
        eventually(clipbell._ready, PATIENCE)
        before = [clipbell.cpu_seconds(verb) for verb in verbs]
        threading.Event().wait(given.seconds)
        for verb, first in zip(verbs, before, strict=True):
            pids = [clipbell.pid(verb), *clipbell.children(verb)]
            share = (clipbell.cpu_seconds(verb) - first) / given.seconds
            figures = {"PSS MB": sum(map(megabytes, pids)), "CPU %": 100 * share}
            rounded = {name: round(value, 2) for name, value in figures.items()}
            print(json.dumps({"process": verb, **rounded}), flush=True)


if __name__ == "__main__":
    main()

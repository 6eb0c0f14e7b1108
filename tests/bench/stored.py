"""
What a job costs with many jobs stored, beside what it costs in an empty database.

``python -m bench.stored [--database postgresql] [--stored N] [--jobs N]``, from tests/.
Milliseconds of CPU of each kind of work, of one look at what is due, and of a job, as in
`bench.units`; and milliseconds of time of a job in one thread, which holds the database's too.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.deployment import Vendor, database, running_peer
from bench.pages import fill
from bench.units import measure, prepare

WARM_UP = 20


def main() -> None:
    """Print both, and the ratios, as lines of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.stored", description=__doc__)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=150)
    options = parser.parse_args()
    empty = _measure(options.database, 0, options.jobs)
    _print("empty", empty)
    stored = _measure(options.database, options.stored, options.jobs)
    _print(f"{options.stored} stored", stored)
    _print("empty / stored", {name: empty[name] / stored[name] for name in empty})


def _measure(kind: str, stored: int, jobs: int) -> dict[str, float]:
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(kind) as settings,
        running_peer(Path(folder), Vendor(task_seconds=3600)) as other,
    ):
        wiring = prepare(Path(folder), other, settings, patience=600.0)
        if stored:
            fill(wiring, f"{other.url}/hook", stored)
        measure(wiring, other, WARM_UP, "")
        began = time.monotonic()
        figures = measure(wiring, other, jobs, "")
        figures["time per job"] = 1000 * (time.monotonic() - began) / jobs
        wiring.close()
    return figures


def _print(name: str, figures: dict[str, float]) -> None:
    rounded = {kind: round(value, 2) for kind, value in figures.items()}
    print(json.dumps({"database": name} | rounded), flush=True)


if __name__ == "__main__":
    main()

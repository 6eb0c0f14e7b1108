"""
CPU of each unit of work: one job after another in one thread, without an engine around it.

``python -m bench.units [--database postgresql] [--jobs N] [--profile KIND]``, from tests/.

The least noisy of all figures: processor time of this process.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.deployment import PeerProcess, Vendor, database, running_peer
from service import store
from service.accounts import create_account
from service.bootstrap import Wiring, build
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.jobs.requests import check_request, request_job
from service.model import JobState
from service.settings import load_settings
from service.store.database import PATIENCE_SECONDS
from service.store.migration import migrate

KINDS = ("submit", "process", "archive", "deliver", "number")
#: What the vendor's callback holds does not matter: the worker asks.
CALLBACK = b'{"code": 200}'


def prepare(
    folder: Path, other: PeerProcess, settings: dict[str, str], patience: float = PATIENCE_SECONDS
) -> Wiring:
    """All collaborators over an empty database."""
    given = {
        "data_dir": folder / "data",
        "secret_keys": "k" * 40,
        "apixo_api_key": "test",
        "apixo_base_url": other.url,
        "providers": "apixo",
        "allowed_networks": "127.0.0.0/8",
    }
    wiring = build(load_settings({}, **given, **settings), patience=patience)
    migrate(wiring.db)
    return wiring


def ask_for(wiring: Wiring, hook: str, count: int) -> None:
    """So many queued jobs of a new account whose news go to `hook`."""
    now = wiring.clock()
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
    asked = check_request(body, wiring.channels, wiring.market())
    with wiring.db.write() as tx:
        for name in wiring.providers:
            store.providers.ensure(tx, name, now)
        account = create_account(tx, wiring.encryptor, f"bench {now:%H:%M:%S.%f}", None, now)
        spec = SubscriptionSpec("webhook", hook, (), "standard")
        subscribe(tx, wiring.encryptor, account.id, spec, now)
        for _ in range(count):
            request_job(tx, wiring.encryptor, wiring.settings, account.id, asked, now)


def call_back(wiring: Wiring) -> None:
    """A callback for each job that was submitted."""
    now = wiring.clock()
    with wiring.db.read() as tx:
        ids = store.jobs.ids_in_states(tx, [JobState.SUBMITTED], 10_000)
    for job_id in ids:
        wiring.ingest.insert(job_id, "apixo", {}, CALLBACK, now)


def drain(unit: Callable[[], bool], profile: cProfile.Profile | None) -> tuple[int, float]:
    """Run a unit until nothing is left: how often, and the milliseconds of CPU of each."""
    began, count = time.process_time(), 0
    with profile or nullcontext():
        while unit():
            count += 1
    return count, 1000 * (time.process_time() - began) / max(1, count)


def measure(wiring: Wiring, other: PeerProcess, jobs: int, profiled: str) -> dict[str, float]:
    """Milliseconds of CPU of each kind of work and of one look at what is due, and per job."""
    ask_for(wiring, f"{other.url}/hook", jobs)
    units, figures, per_job = wiring.units(), dict[str, float](), 0.0
    for kind in KINDS:
        if kind == "process":
            call_back(wiring)
        profile = cProfile.Profile() if kind == profiled else None
        count, figures[kind] = drain(units[kind], profile)
        per_job += figures[kind] * count / jobs
        if profile:
            profile.dump_stats(f"{kind}.prof")
    began = time.process_time()
    for _ in range(100):
        wiring.due()
    figures["due"] = 10 * (time.process_time() - began)
    return figures | {"per job": per_job}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.units", description=__doc__)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--profile", default="", help="writes KIND.prof")
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(options.database) as settings,
        running_peer(Path(folder), Vendor(task_seconds=3600)) as other,
    ):
        wiring = prepare(Path(folder), other, settings)
        measure(wiring, other, 5, "")
        figures = measure(wiring, other, options.jobs, options.profile)
        wiring.close()
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()

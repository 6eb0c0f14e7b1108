"""
The long form: ``python -m chaos --jobs 3000 --kills 200 --seed N --database postgresql``.

``--pay-once --jobs 10000`` instead asks every vendor of the sandbox for jobs, loses their
answers, and prints what was created and billed at each.

``--engine celery --broker amqp://guest:guest@127.0.0.1/chaos`` (or ``redis://127.0.0.1/9``)
runs it on that engine; the vhost or database must be the run's own, as it is emptied now and then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from chaos import cluster
from chaos.bills import fates, report, wrong
from chaos.evidence import gather
from chaos.figures import faults, figures, table
from chaos.pay_once import PayOncePlan, pay_once_run
from chaos.run import MOST_KILLS, Plan, chaos_run


def main() -> int:
    """One run; 0 when every promise held, else 1 with what was broken."""
    plan = _plan()
    if isinstance(plan, PayOncePlan):
        return _pay_once(plan)
    if plan.database == "postgresql" and cluster.missing():
        print(cluster.missing(), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="clipbell-chaos-") as folder:
        with chaos_run(plan, Path(folder)) as run:
            secrets = run.start()
            run.fight()
            run.calm()
            found = gather(run)
            print(table(figures(run, found)))
            wrong = faults(run, found, secrets)
        print("\n".join(wrong) if wrong else "every promise held")
    return 1 if wrong else 0


def _pay_once(plan: PayOncePlan) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="clipbell-pay-once-") as folder,
        pay_once_run(plan, Path(folder)) as run,
    ):
        run.fight()
        run.calm()
        found = fates(run)
        faults = wrong(run, found)
        print(report(run, found))
        well = "every job was paid once, and no paid result is lost"
        print("\n".join(faults) if faults else well, flush=True)
    return 1 if faults else 0


def _plan() -> Plan | PayOncePlan:
    reader = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    reader.add_argument("--jobs", type=int)
    reader.add_argument("--kills", type=int)
    reader.add_argument("--seed", type=int)
    reader.add_argument("--database", choices=("sqlite", "postgresql"))
    reader.add_argument("--engine", choices=("threads", "celery"), default="threads")
    reader.add_argument("--broker", default="")
    reader.add_argument("--pay-once", action="store_true")
    given = {name: value for name, value in vars(reader.parse_args()).items() if value is not None}
    engine, pay_once = given.pop("engine"), given.pop("pay_once")
    if pay_once:
        return PayOncePlan(**{n: given[n] for n in ("jobs", "kills", "seed") if n in given})
    if (engine == "celery") != bool(given["broker"]):
        reader.error("--engine celery and --broker URL belong together")
    plan = Plan(**{"jobs": 3000, "kills": 200} | given)
    if not 1 <= plan.kills <= min(MOST_KILLS, plan.jobs):
        reader.error(f"--kills goes from 1 to {MOST_KILLS}, and not above --jobs")
    return plan


if __name__ == "__main__":
    sys.exit(main())

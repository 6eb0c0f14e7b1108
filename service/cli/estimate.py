"""`submit --dry-run`: what a job would cost, and what would be sent."""

from __future__ import annotations

from typing import Any

from service.catalogue.models import VENDORS
from service.cli.here import acting_account
from service.cli.jobs import error_text
from service.cli.output import print_json, say
from service.cli.wired import open_wiring
from service.formatting import format_duration, format_price
from service.jobs import budget
from service.jobs.requests import check_request, planned_job
from service.jobs.submission import preview
from service.messages.content import cut, plain
from service.model.job_json import DryRunJson

#: Longer values of a request, such as images, are cut.
SHOWN = 100


def estimate(body: dict[str, Any]) -> DryRunJson:
    """What the job would be; nothing is written. Raises InvalidInput."""
    wiring = open_wiring()
    request, now = check_request(body, wiring.channels, wiring.market()), wiring.clock()
    with wiring.db.read() as tx:
        job = planned_job(wiring.settings, acting_account(tx).id, request, now)
        objection = budget.objection(tx, wiring.settings, job, now)
    return preview(wiring.providers, wiring.settings, wiring.signer, job, request.choice, objection)


def print_estimate(found: DryRunJson, json_: bool) -> None:
    """Print vendor, price and time, why it would be held, and the request to the vendor."""
    if json_:
        print_json(found)
        return
    vendor, cost, request = VENDORS.get(found["provider"]), found["cost"], found["request"]
    title = vendor.title if vendor else found["provider"]
    say(f"Vendor   {title} ({found['choice']})" if found["choice"] else f"Vendor   {title}")
    say(f"Price    {format_price(cost['estimated_min'], cost['estimated_max'])}")
    say(f"Takes    about {format_duration(found['expected_seconds'])}")
    if found["warning"]:
        say(f"Warning  {found['warning']}")
    say(f"Request  {request['method']} {request['url']}")
    for name, value in request["body"].items():
        say(f"         {name}: {cut(plain(value), SHOWN)}")
    if found["objection"]:
        say(f"It would be held. {error_text(found['objection'])}")
    say("Nothing was sent. `--json` shows the exact request.")

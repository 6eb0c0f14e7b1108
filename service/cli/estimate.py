"""`submit --dry-run`: what a job would cost, and what would be sent."""

from __future__ import annotations

from service.catalogue.models import VENDORS
from service.cli.jobs import error_text
from service.cli.output import print_json, say
from service.formatting import format_duration, format_price
from service.messages.content import cut, plain
from service.model.job_json import DryRunJson

#: Longer values of a request, such as images, are cut.
SHOWN = 100


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

"""
The doctor's checks with calls to others: vendors, mail server, Slack, PUBLIC_URL.

They create and send nothing: a vendor is asked about a task that does not exist.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from service.bootstrap import Wiring
from service.catalogue.models import VENDORS
from service.errors import DeliveryError, ProviderError
from service.events.samples import sample_event, sample_job
from service.jobs.ledger import USUAL_HISTORY, compare_all
from service.jobs.lookup import job_in_url
from service.model import EventType
from service.ops.health import Check, worker_trouble

#: The most tasks that one result names.
MOST_SHOWN = 5
#: No vendor has a task of this name.
NO_TASK = "00000000-0000-0000-0000-000000000000"
#: The codes of a vendor that refuses our key.
_REFUSED_KEY = ("AUTH_INVALID", "FORBIDDEN", "ACCOUNT_EXCEPTION")


def check_worker(w: Wiring) -> Check:
    """Check that a worker runs."""
    with w.db.read() as tx:
        trouble = worker_trouble(tx, w.clock())
    return Check("worker", not trouble, trouble or "is alive")


def check_vendors(w: Wiring) -> Check:
    """Ask each vendor about a task that does not exist: a vendor checks the key first."""
    faults, fine = [], []
    for name, provider in w.providers.items():
        if provider.holds_connection:
            fine.append(f"{name} has no call that checks a key")
            continue
        vendor = VENDORS.get(name)
        model = vendor.models[0].slug if vendor and vendor.models else "none"
        job = sample_job(sample_event("acc_none", EventType.JOB_SUBMITTED, w.clock()))
        try:
            provider.fetch(replace(job, provider=name, model=model, task_id=NO_TASK))
        except ProviderError as error:
            if error.code in _REFUSED_KEY:
                fix = f"check CLIPBELL_{name.upper()}_API_KEY"
                faults.append(f"{name} refuses the key ({error.message}): {fix}")
                continue
            if error.code == "PROVIDER_UNAVAILABLE":
                origin = f"CLIPBELL_{name.upper()}_BASE_URL"
                faults.append(f"{name} does not answer ({error.message}): check {origin}")
                continue
        fine.append(f"{name} accepts the key")
    return Check("vendor keys", not faults, "; ".join(faults or fine) or "no vendor has a key")


def check_ledger(w: Wiring) -> Check:
    """Compare the last day's tasks of each vendor that has a list with the jobs here."""
    since = w.clock() - USUAL_HISTORY
    job_of = job_in_url(w.signer, w.clock())
    found, _ = compare_all(w.db, w.providers, w.settings, since, job_of)
    surplus = [
        f"task {one.task_id} of {one.provider} was {one.sentence()}" for one in found if one.job_id
    ]
    if surplus:
        fix = "`clipbell show JOB` tells why; `clipbell ledger --unmatched` lists all"
        return Check("vendor tasks", False, f"{'; '.join(surplus[:MOST_SHOWN])}: {fix}")
    others = f"; {len(found)} of other programs" if found else ""
    return Check("vendor tasks", True, f"every task belongs to a job here{others}")


def check_channels(w: Wiring) -> Check:
    """Log in to the mail server and to Slack, without sending anything."""
    faults = []
    for name, channel in w.channels.items():
        try:
            channel.check_access()
        except DeliveryError as error:
            faults.append(f"{name}: {error.message}")
    return Check(
        "channels", not faults, "; ".join(faults) or f"{', '.join(w.channels)} can be used"
    )


def unreachable_address(w: Wiring) -> str:
    """The reason why the vendors in use cannot call our public address; blank if they can."""
    if not any(_is_public(w.settings.base_url_of(name)) for name in w.providers):
        return ""
    parts, fix = urlsplit(w.settings.public_url), "set CLIPBELL_PUBLIC_URL to an https address"
    if not _is_public(w.settings.public_url):
        return f"no vendor can call {parts.hostname}: {fix} that the internet reaches"
    if parts.scheme == "http":
        return f"callbacks and links go over plain http: {fix}"
    return ""


def _is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))

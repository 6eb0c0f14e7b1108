"""Alerts: problems that need a person, shown on every page with a link or button to act."""

from __future__ import annotations

from typing import NamedTuple

from service import store
from service.deliveries.subscriptions import target_of
from service.formatting import as_sentence, mask_target
from service.model import ApiKey, JobState, Subscription
from service.model.error_codes import FAILURES
from service.ops.health import worker_trouble
from service.web.context import wiring


class Alert(NamedTuple):
    """
    One problem.

    `action` names the link or, where `post` is true, the button that leads to `path`.
    """

    title: str
    text: str
    action: str
    path: str
    post: bool = False


class Alerts(NamedTuple):
    """All problems, and the number of failing endpoints."""

    all: list[Alert]
    failing: int


def look(key: ApiKey) -> Alerts:
    """The current problems of this key's account; an operator also gets buttons for the vendors."""
    w = wiring()
    now, operator = w.clock(), "operator" in key.scopes
    found = []
    with w.db.read() as tx:
        failing = store.subscriptions.failing(tx, key.account_id)
        if worker_trouble(tx, now):
            fix = (
                "Start clipbell worker."
                if operator
                else "Ask the operator of the service to start it."
            )
            text = f"Jobs and messages wait. {fix}"
            found.append(Alert("No worker is running.", text, "Settings", "/settings"))
        if store.jobs.waits_for_a_person(tx, key.account_id):
            text = "It was sent, and no answer came. Look for it at the vendor, then resolve it."
            found.append(Alert("A job waits for you.", text, "See it", "/?state=unknown"))
        for row in store.providers.all_rows(tx):
            if row.held_reason is None or row.name not in w.providers:
                continue
            held = store.job_lists.counts(tx, key.account_id).get(JobState.HELD, 0)
            title, text = f"{row.name} is on hold.", as_sentence(row.held_reason)
            if failure := FAILURES.get(row.held_reason.partition(":")[0]):
                text = f"{text} {failure.hint}"
            if operator:
                path = f"/settings/providers/{row.name}/resume"
                found.append(Alert(title, text, f"Resume {row.name}", path, post=True))
            elif held:
                found.append(Alert(title, text, "See held jobs", "/?state=held"))
    if failing:
        found.append(_failing(failing))
    return Alerts(found, len(failing))


def _failing(found: list[Subscription]) -> Alert:
    """The alert about failing endpoints, with a link to the answers of one."""
    if len(found) > 1:
        text = "Messages to them do not arrive."
        return Alert(f"{len(found)} endpoints fail.", text, "See them", "/subscriptions")
    (one,) = found
    name = one.name or mask_target(target_of(wiring().encryptor, one))
    # Endpoints of a job's own `notify` have no page.
    path = f"/deliveries?subscription={one.id}" if one.hidden else f"/subscriptions/{one.id}"
    return Alert(f"{name} fails.", "Messages to it do not arrive.", "See why", path)

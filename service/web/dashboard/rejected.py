"""Rejected callbacks: their number, reason and sender, and advice."""

from __future__ import annotations

import re
from typing import NamedTuple

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.web.context import caller, wiring
from service.web.session import page, signed_in

blueprint = Blueprint("rejected", __name__)

PAGE_ROWS = 100


class Reason(NamedTuple):
    """A reason of rejections: its title, its meaning, and advice."""

    title: str
    meaning: str
    advice: str


REASONS = {
    "bad_signature": Reason(
        "Bad signature",
        "We did not sign this address: somebody made it up, or a key of ours is gone.",
        "A few are normal, since strangers try addresses. If a provider's own callbacks are among "
        "them, CLIPBELL_SECRET_KEYS was changed while jobs were in progress: put the old key back "
        "behind the new one and restart.",
    ),
    "bad_vendor_signature": Reason(
        "Not signed by the vendor",
        "The address is ours, but the vendor's own signature is missing or wrong.",
        "Nothing is lost: the job is polled. Compare CLIPBELL_NAME_WEBHOOK_SECRET with the "
        "secret in the vendor's account, and look at this machine's clock.",
    ),
    "expired": Reason(
        "Expired",
        "The address was ours, but older than the 30 days that it works.",
        "Nothing is lost: the job is polled. If there are many, look at this machine's clock.",
    ),
    "unknown_job": Reason(
        "Unknown job",
        "The signature is right, but this database has no such job.",
        "Was a backup restored, or the job removed since? If two installations share "
        "CLIPBELL_SECRET_KEYS, give each keys of its own.",
    ),
    "too_large": Reason(
        "Too large",
        "Its body was over 1 MiB, more than any provider sends.",
        "Nothing is lost: the job is polled. If it came from a provider, tell them.",
    ),
    "too_many": Reason(
        "Too many",
        "Its job has more different callbacks than Clipbell stores for one; it was answered 200.",
        "Nothing is lost: the job is polled. If it came from a provider, tell them.",
    ),
}
#: The text for a reason of a newer version.
UNKNOWN = Reason("", "This version does not know this reason.", "See CHANGELOG.md.")


@blueprint.get("/callbacks/rejected")
@signed_in("read")
def index() -> AnyResponse:
    """The rejected callbacks for an operator; for others, the reason why they can't see them."""
    if "operator" not in caller().scopes:
        return page("rejected.html", 403, allowed=False)
    reason, before = request.args.get("reason") or None, request.args.get("before", "")
    last = before if re.fullmatch("rej_[0-9a-f]{32}", before) else None
    with wiring().db.read() as tx:
        counts = store.callbacks.count_rejections(tx)
        shown = store.callbacks.rejected(tx, PAGE_ROWS, before=last, reason=reason)
    return page(
        "rejected.html",
        allowed=True,
        reasons={name: _reason(name) for name in REASONS | counts},
        counts=counts,
        rows=[(one, _reason(one.reason).title) for one in shown],
        older=shown.older,
        reason=reason,
        before=last,
    )


def _reason(name: str) -> Reason:
    return REASONS.get(name, UNKNOWN._replace(title=name.replace("_", " ").capitalize()))

"""
Replicate: predictions, with a callback at their end.

There is no id of ours on a prediction, but its webhook URL names our job: a create that was
not answered is looked up in the list of predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin

from service.catalogue.models import model_of
from service.errors import Unanswered
from service.model import Job, TaskState
from service.providers.base import WireRequest, send_query
from service.providers.bodies import as_id, read_body
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Scheme, StandardWebhooks
from service.providers.task_api import TaskApi

MOST_PAGES = 5
#: The vendor's clock may be so far from ours.
SLACK = timedelta(minutes=5)
VOCABULARY = Vocabulary(
    task_ids=("id",),
    other_ids=(),
    request_ids=(),
    wrappers=(),
    state_names=("status",),
    state_words={"succeeded": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    codes=(),
    accepted=frozenset(),
    fail_codes=(),
    messages=("error", "detail", "title"),
    results=ResultNames(("output", "url")),
)


class Replicate(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "replicate"
    vocabulary = VOCABULARY

    def make_scheme(self) -> Scheme | None:
        """Standard Webhooks, with the account's secret."""
        secret = self.access.webhook_secret
        return StandardWebhooks(secret) if secret else None

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /v1/models/OWNER/NAME/predictions``."""
        body: dict[str, Any] = {"input": job.input}
        if callback_url:
            body |= {"webhook": callback_url, "webhook_events_filter": ["completed"]}
        return self.wire(f"/v1/models/{model_of(job.model, job.provider).wire}/predictions", body)

    def query_path(self, job: Job) -> str:
        """``GET /v1/predictions/ID``."""
        return f"/v1/predictions/{quote(job.task_id or '', safe='')}"

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """The newest predictions, until one names our job or is older than it."""
        url: str | None = f"{self.access.base_url}/v1/predictions"
        for _ in range(MOST_PAGES):
            page = self._page(url) if url else {}
            for one in page.get("results") or ():
                if not isinstance(one, dict):
                    continue
                if job_of(str(one.get("webhook") or "")) == job.id:
                    return as_id(one.get("id"))
                if _is_older(one, job):
                    return None
            url = self._next(page)
        return None

    def _page(self, url: str) -> dict[str, Any]:
        answer = send_query(self.access.outbound, url, self.headers())
        tree = read_body(answer.body)
        if answer.status != 200 or not isinstance(tree, dict):
            raise Unanswered("PROVIDER_UNAVAILABLE", f"the lookup answered {answer.status}")
        return tree

    def _next(self, page: dict[str, Any]) -> str | None:
        """Where the next page is: at the vendor, or nowhere."""
        following = urljoin(self.access.base_url, str(page.get("next") or ""))
        ours = following.startswith(f"{self.access.base_url}/")
        return following if page.get("next") and ours else None


def _is_older(prediction: dict[str, Any], job: Job) -> bool:
    try:
        created = datetime.fromisoformat(str(prediction.get("created_at")))
        return created < (job.sent_at or job.created_at) - SLACK
    except (TypeError, ValueError):
        return False


make = Replicate

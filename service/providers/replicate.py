"""
Replicate: predictions, with a callback at their end.

There is no id of ours on a prediction, but its webhook URL names our job: a create that was
not answered is looked up in the list of predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from service.catalogue.models import model_of
from service.errors import Unanswered
from service.model import Job, TaskState
from service.providers.base import PastTask, WireRequest, list_too_long, send_query
from service.providers.bodies import read_body
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Scheme, StandardWebhooks
from service.providers.task_api import TaskApi

LIST = "/v1/predictions"
MOST_PAGES = 20
#: The vendor's clock may be so far from ours.
SLACK = timedelta(minutes=5)
VOCABULARY = Vocabulary(
    state_words={"succeeded": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
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
        return StandardWebhooks(secret, self.secret_setting) if secret else None

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
        tasks = self.history(job.sent_at or job.created_at, job_of)
        return next((task.task_id for task in tasks if task.job_id == job.id), None)

    def history(self, since: datetime, job_of: Callable[[str], str | None]) -> Iterator[PastTask]:
        """The predictions by their list; the job of each is the one in its webhook's URL."""
        url = f"{self.access.base_url}{LIST}"
        for _ in range(MOST_PAGES):
            page = self._page(url)
            for one in page.get("results") or ():
                if not isinstance(one, dict):
                    continue
                created_at = _created_at(one)
                if created_at and created_at < since - SLACK:
                    return
                yield self.past_task(one, job_of(str(one.get("webhook") or "")), created_at)
            following = self._next(page)
            if following is None:
                return
            url = following
        raise list_too_long(MOST_PAGES)

    def _page(self, url: str) -> dict[str, Any]:
        answer = send_query(self.access.outbound, url, self.headers())
        tree = read_body(answer.body)
        if answer.status != 200 or not isinstance(tree, dict):
            raise Unanswered("PROVIDER_UNAVAILABLE", f"the lookup answered {answer.status}")
        return tree

    def _next(self, page: dict[str, Any]) -> str | None:
        """Where the next page is: always where we ask, whatever origin a gateway lets through."""
        try:
            parts = urlsplit(str(page.get("next") or ""))
        except ValueError:
            return None
        return f"{self.access.base_url}{LIST}?{parts.query}" if parts.query else None


def _created_at(prediction: dict[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(prediction.get("created_at")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


make = Replicate

"""
The common part of the vendor-compatible APIs: they create ordinary jobs.

Each parses a request in its vendor's form, creates a job, and answers in its
vendor's shape; the differences are in `segmind` and `apixo`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request
from sqlalchemy import Connection

from service import store
from service.bootstrap import Wiring
from service.catalogue.models import find_offer
from service.errors import ClipbellError, InvalidInput, NotFound
from service.jobs import budget
from service.jobs.requests import (
    JobRequest,
    check_request,
    planned_job,
    request_job,
    with_saved_images,
)
from service.model import Job, Video
from service.videos.links import link_of
from service.web import idempotency, repeats
from service.web.context import caller, wiring

#: The code of a refusal without budget or credits, which both vendors know.
NO_CREDITS = "INSUFFICIENT_CREDITS"


class CompatError(ClipbellError):
    """
    A refusal: HTTP status and message; each vendor's API gives it its shape.

    `code` is a word for programs, if the vendor has such codes.
    """

    def __init__(
        self, status: int, message: str, headers: dict[str, str] | None = None, code: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = headers or {}


@dataclass(frozen=True)
class Found:
    """A job with its video and its link; None if there is none."""

    job: Job
    video: Video | None
    link: str | None


def checked(model: str, given: Any, source: str, **more: Any) -> JobRequest:
    """Check a request for a job from an API. Raises CompatError (400) with all faults."""
    w = wiring()
    body = {"model": model, "input": given} | more
    try:
        asked = check_request(body, w.channels, w.market())
    except InvalidInput as error:
        raise CompatError(400, in_words(error)) from error
    return replace(asked, source=source)


def in_words(error: InvalidInput) -> str:
    """All faults as one sentence, by the vendor's own field names."""
    sentences = []
    for fault in error.faults:
        name = fault.pointer.removeprefix("/input/").strip("/") or "body"
        if fault.pointer.startswith("/notify"):
            name = "callback_url"
        sentences.append(f"{name}: {fault.message}")
    return "; ".join(sentences)


def create(asked: JobRequest, raw: bytes, no_money: int) -> tuple[Job, bool]:
    """
    Create the job of a request. The bool says whether an earlier request has created it.

    The answer depends only on the job, so for an idempotency key
    only the job's id is stored.

    Args:
        raw: the content of the request, the same bytes for each repetition.

    Raises:
        CompatError: with the status `no_money`, since a job of this API is never held.
    """
    w = wiring()
    key, counted = idempotency.given_key(), repeats.counted_create(raw)
    with w.db.write() as tx:
        kept = idempotency.replay(tx, key, raw)
        earlier = kept.get_data(as_text=True) if kept else repeats.earlier_try(tx, counted)
        if earlier is not None:
            return find(earlier).job, True
        _refuse_without_money(tx, asked, no_money)
        asked = with_saved_images(w.uploads, asked, w.clock())
        job = request_job(tx, w.encryptor, w.settings, caller().account_id, asked, w.clock())
        idempotency.save(tx, key, Response(job.id))
        repeats.remember_create(tx, counted, job.id)
    return job, False


def _refuse_without_money(tx: Connection, asked: JobRequest, status: int) -> None:
    w = wiring()
    account = caller().account_id
    store.accounts.lock(tx, account)
    job = planned_job(w.settings, account, asked, w.clock())
    objection = budget.objection(tx, w.settings, job, w.clock())
    if objection:
        raise CompatError(status, f"Insufficient credits: {objection.message}")
    held = store.providers.held(tx, job.provider)
    if held:
        why = "" if held.endswith("Insufficient credits") else f" ({held})"
        raise CompatError(status, f"Insufficient credits: {job.provider} is held{why}")


def find(job_id: str, model: str | None = None) -> Found:
    """The caller's job. Raises NotFound."""
    w = wiring()
    with w.db.read() as tx:
        job = store.jobs.owned(tx, caller().account_id, job_id)
        video = store.videos.of_job(tx, job.id) if job else None
    if job is None or (model is not None and job.model != model):
        raise NotFound(f"there is no request {job_id[:80]}")
    link = link_of(w.db, w.links, w.settings, video, w.clock())
    return Found(job, video, link)


def ended(wiring: Wiring, job_ids: Collection[str]) -> set[str]:
    """For the waiters, outside any request: the ids of jobs that need no more waiting."""
    with wiring.db.read() as tx:
        return store.videos.ended_jobs(tx, job_ids)


def credits_left(provider: str) -> str | None:
    """The dollars left of the budget, or else at the vendor, as text for the vendor's header."""
    w = wiring()
    with w.db.read() as tx:
        left = budget.remaining(tx, w.settings, caller().account_id, w.clock())
        if left is None:
            left = store.providers.credits_left(tx, provider)
    return None if left is None else f"{round(left, 6):.12g}"


def known_model(slug: str, provider: str) -> bool:
    """Whether that vendor sells this model."""
    return find_offer(slug, provider) is not None


def asks_for(header: str, word: str) -> bool:
    """Whether a header of the request has this word among its values."""
    values = request.headers.get(header, "").lower().split(",")
    return any(value.split(";")[0].strip() == word for value in values)

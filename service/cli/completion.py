"""Shell completion of arguments and values; nothing here may fail or write."""

from __future__ import annotations

import re

from sqlalchemy.exc import SQLAlchemyError

from service import store
from service.catalogue.models import MODELS
from service.errors import ClipbellError
from service.messages.content import cut, plain
from service.model import EventType
from service.settings import load_settings, remote_service
from service.store.database import Database

OFFERED = 30
#: Nobody waits longer for a Tab.
SECONDS = 1.0


def models() -> list[tuple[str, str]]:
    """The models, with their titles."""
    return [(model.slug, model.title) for model in MODELS.values()]


def events() -> list[str]:
    """The types of events."""
    return [event.value for event in EventType]


def job_ids() -> list[tuple[str, str]]:
    """The first account's newest jobs, with state and prompt; none without a usable database."""
    try:
        if remote_service() is not None:
            return []
        with Database(load_settings().database_url, SECONDS).read() as tx:
            account = store.accounts.first(tx)
            jobs = store.job_lists.page(tx, account.id, OFFERED) if account else []
    except (ClipbellError, SQLAlchemyError, OSError):
        return []
    # Words only: zsh evaluates the completions, and Typer does not escape all of them.
    prompts = [re.sub(r"[^\w,.-]", " ", str(job.input.get("prompt") or "")) for job in jobs]
    shown = [cut(plain(prompt), 40) for prompt in prompts]
    return [(job.id, f"{job.state} {prompt}") for job, prompt in zip(jobs, shown, strict=True)]

"""What the Tab key offers beside verbs and options; nothing here may fail or write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from service import store
from service.catalogue.models import MODELS
from service.errors import ClipbellError
from service.messages.content import cut, plain
from service.model import EventType, Job
from service.settings import load_settings
from service.store.database import Database

OFFERED = 30


def models() -> list[tuple[str, str]]:
    """The models, with their titles."""
    return [(model.slug, model.title) for model in MODELS.values()]


def events() -> list[str]:
    """The types of events."""
    return [event.value for event in EventType]


def job_ids() -> list[tuple[str, str]]:
    """The first account's newest jobs, with state and prompt."""
    return [(job.id, f"{job.state} {_words(job.input.get('prompt'))}") for job in _newest_jobs()]


def _words(prompt: Any) -> str:
    """Nothing but words: zsh evaluates what it is offered, and Typer does not escape all of it."""
    return cut(plain(re.sub(r"[^\w,.-]", " ", str(prompt or ""))), 40)


def _newest_jobs() -> list[Job]:
    try:
        url = load_settings().database_url
        # Opening a database that is not there would make an empty one.
        if url.startswith("sqlite") and not Path(str(make_url(url).database)).exists():
            return []
        with Database(url).read() as tx:
            account = store.accounts.first(tx)
            return store.jobs.page(tx, account.id, OFFERED) if account else []
    except (ClipbellError, SQLAlchemyError, OSError):
        return []

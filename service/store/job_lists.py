"""Lists of an account's jobs: pages, searches, and how many jobs there are in each state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from service.model import Job, JobState
from service.store.schema import jobs
from service.store.work import Page, count_each, newest_page, oldest_page


def page(
    tx: Connection,
    account_id: str,
    limit: int,
    *,
    before: str | None = None,
    state: str | None = None,
    **which: Any,
) -> Page[Job]:
    """
    An account's jobs, newest first; `before` is the last id of the previous page.

    Args:
        which: see `_matching`.
    """
    statement = select(jobs).where(_matching(account_id, **which))
    if state is not None:
        statement = statement.filter_by(state=state)
    return newest_page(tx, statement, Job, limit, before)


def page_not_erased(
    tx: Connection, account_id: str, limit: int, after: str | None, *, ascending: bool
) -> Page[Job]:
    """An account's jobs in either order, but no erased ones; `after` ended the previous page."""
    kept = jobs.c.input["prompt"].as_string().is_not(None)
    statement = select(jobs).where(jobs.c.account_id == account_id, kept)
    page_of = oldest_page if ascending else newest_page
    return page_of(tx, statement, Job, limit, after)


def _matching(
    account_id: str,
    *,
    model: str | None = None,
    since: datetime | None = None,
    prefix: str | None = None,
    search: str | None = None,
) -> ColumnElement[bool]:
    """
    A condition: the account's jobs by model, time of creation and start of an id.

    `search` matches the start of an id, or all its words anywhere in the prompt.
    """
    found = jobs.c.account_id == account_id
    if model is not None:
        found &= jobs.c.model == model
    if since is not None:
        found &= jobs.c.created_at >= since
    if prefix is not None:
        found &= _begins(prefix)
    if search is not None:
        prompt, words = jobs.c.input["prompt"].as_string(), []
        for word in search.split():
            cases = {word}
            if not word.isascii():
                # SQLite itself ignores case only for ASCII letters.
                cases |= {word.lower(), word.upper(), word.capitalize()}
            holds = [prompt.icontains(case, autoescape=True) for case in sorted(cases)]
            words.append(or_(*holds))
        found &= _begins(search) | and_(true(), *words)
    return found


def _begins(prefix: str) -> ColumnElement[bool]:
    return or_(*[i.startswith(prefix, autoescape=True) for i in (jobs.c.id, jobs.c.task_id)])


def counts(tx: Connection, account_id: str, **which: Any) -> dict[str, int]:
    """The number of an account's jobs, by state, see `count_each`; `which` as for `page`."""
    matching = select(jobs.c.id).where(_matching(account_id, **which))
    return count_each(tx, {state: matching.where(jobs.c.state == state) for state in JobState})

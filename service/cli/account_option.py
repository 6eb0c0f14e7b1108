"""`--account`: the account that a verb acts for, the same on each such verb."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from service import store
from service.accounts import find_account
from service.bootstrap import Wiring
from service.errors import Conflict, NotFound, SchemaError
from service.model import Account, Job

#: Characters of an id, and the fewest of its beginning that are looked up.
ID_LENGTH = 36
SHORTEST_ID = 6
_CHOSEN: ContextVar[str | None] = ContextVar("account", default=None)


def acting_account(wiring: Wiring) -> Account:
    """The account that `--account` names, else the first. Raises NotFound."""
    chosen = _CHOSEN.get()
    with wiring.db.read() as tx:
        account = store.accounts.first(tx)
        if account is None:
            raise SchemaError("there is no account yet: run `clipbell init`")
        try:
            return find_account(tx, chosen) if chosen else account
        except NotFound as error:
            raise NotFound(f"{error}: `clipbell accounts list` shows all") from None


def whole_id(wiring: Wiring, given: str | None) -> str | None:
    """
    The acting account's one id that begins as `given` does; else `given` as it is.

    Raises:
        Conflict: several begin so.
    """
    if given is None or len(given) < SHORTEST_ID or len(given) >= ID_LENGTH:
        return given
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        found = store.ids.matching(tx, account.id, given)
    if len(found) > 1:
        raise Conflict(f"several ids begin with {given}, such as {found[0]}: type more of it")
    return found[0] if found else given


def own_job(wiring: Wiring, job_id: str) -> Job:
    """The job of that id or beginning, if it is the acting account's. Raises NotFound."""
    account = acting_account(wiring)
    job_id = whole_id(wiring, job_id) or job_id
    with wiring.db.read() as tx:
        job = store.jobs.find(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id}: `clipbell jobs` lists them")
        if job.account_id != account.id:
            raise NotFound(f"{job_id} is not {account.name}'s: say --account {job.account_id}")
    return job


def _choose(name: str | None) -> None:
    # A group and its verb both take the option: the one that was given counts.
    if name is not None:
        _CHOSEN.set(name)


_holder = typer.Typer(add_completion=False)


@_holder.command()
def _shared(
    _: str = typer.Option(
        None,
        "--account",
        metavar="NAME",
        help="Account, by name or id. Default: the first account.",
        callback=_choose,
        expose_value=False,
    ),
) -> None:
    """Declare the options that such verbs share."""


_OPTIONS = get_command(_holder).params


class Acting(TyperCommand):
    """A verb that acts for an account: it has the shared options besides its own."""

    def __init__(self, *args: Any, params: list[Any], **rest: Any) -> None:
        super().__init__(*args, params=[*params, *_OPTIONS], **rest)


class ActingGroup(TyperGroup):
    """The same for a verb that has verbs of its own."""

    def __init__(self, *args: Any, params: list[Any], **rest: Any) -> None:
        super().__init__(*args, params=[*params, *_OPTIONS], **rest)

"""The service on this machine: its database, the account that a verb acts for, what that owns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import typer
from sqlalchemy import Connection

from service import store
from service.accounts import find_account
from service.cli.errors import print_error
from service.cli.help import CHOSEN_ACCOUNT
from service.errors import Conflict, NotFound, SchemaError
from service.model import Account, Delivery, Job, Subscription, utc_now
from service.model.job_json import JobJson, job_json
from service.settings import Settings, load_settings, misspelt, remote_service, remote_url
from service.signing import Encryptor, UrlSigner
from service.store.database import Database
from service.videos.links import link_of

#: Characters of an id, and the fewest of its beginning that are looked up.
ID_LENGTH = 36
SHORTEST_ID = 6


class Here(NamedTuple):
    """What verbs need that only read and write rows; others build the whole `Wiring`."""

    settings: Settings
    db: Database
    encryptor: Encryptor
    links: UrlSigner


def open_here() -> Here:
    """The database at head, and what opens its secrets. Raises SettingsError or SchemaError."""
    check_environment()
    settings = load_settings()
    keys = settings.keys()
    links = UrlSigner(keys, "video", f"{settings.public_url}/v")
    here = Here(settings, Database(settings.database_url), Encryptor(keys), links)
    here.db.check()
    return here


@cache
def check_environment() -> None:
    """
    Warn of settings that are misspelt.

    Raises:
        BadParameter: the environment names a service on another machine.
    """
    for sentence in misspelt():
        print_error(sentence)
    if remote_service() is not None:
        message = "this verb works only where the service runs: unset CLIPBELL_URL"
        raise typer.BadParameter(message)


def local_settings() -> Settings:
    """The settings of a verb that works on this machine, with a line on what it heeds not."""
    for sentence in misspelt():
        print_error(sentence)
    settings = load_settings()
    note_remote(settings.public_url)
    return settings


def note_remote(public_url: str = "") -> None:
    """Say that a service elsewhere is named, unless it is the one at `public_url`."""
    if remote_url() not in ("", public_url):
        print_error("this verb works on this machine only: it ignores CLIPBELL_URL")


def acting_account(tx: Connection) -> Account:
    """The account that `--account` names, else the first. Raises NotFound."""
    chosen = CHOSEN_ACCOUNT.get()
    account = store.accounts.first(tx)
    if account is None:
        raise SchemaError("there is no account yet: run `clipbell init`")
    try:
        return find_account(tx, chosen) if chosen else account
    except NotFound as error:
        raise NotFound(f"{error}: `clipbell accounts list` shows all") from None


def whole_id(tx: Connection, given: str | None) -> str:
    """
    The acting account's one id that begins as `given` does; else `given` as it is.

    Raises:
        Conflict: several begin so.
    """
    if not given or len(given) < SHORTEST_ID or len(given) >= ID_LENGTH:
        return given or ""
    found = store.ids.matching(tx, acting_account(tx).id, given)
    if len(found) > 1:
        raise Conflict(f"several ids begin with {given}, such as {found[0]}: type more of it")
    return found[0] if found else given


def own_job(tx: Connection, given: str) -> Job:
    """The job of that id or beginning, if it is the acting account's. Raises NotFound."""
    account, job_id = acting_account(tx), whole_id(tx, given)
    job = store.jobs.find(tx, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}: `clipbell jobs` lists them")
    if job.account_id != account.id:
        raise NotFound(f"{job_id} belongs to another account: add --account {job.account_id}")
    return job


def own_subscription(tx: Connection, given: str) -> Subscription:
    """The acting account's subscription of that id or beginning. Raises NotFound."""
    found = store.subscriptions.owned(tx, acting_account(tx).id, whole_id(tx, given))
    if found is None:
        raise NotFound(f"there is no subscription {given}: `clipbell subscriptions list` shows all")
    return found


def own_delivery(tx: Connection, given: str) -> Delivery:
    """The acting account's delivery of that id or beginning. Raises NotFound."""
    found = store.deliveries.owned(tx, acting_account(tx).id, whole_id(tx, given))
    if found is None:
        raise NotFound(f"there is no delivery {given}: `clipbell deliveries` lists them")
    return found


def jobs_json(here: Here, jobs: Sequence[Job]) -> list[JobJson]:
    """The jobs as the API shows them, with their links."""
    with here.db.read() as tx:
        videos = store.videos.of_jobs(tx, [job.id for job in jobs])
    now = utc_now()
    links = {
        id_: link_of(here.db, here.links, here.settings, video, now)
        for id_, video in videos.items()
    }
    return [job_json(job, videos.get(job.id), links.get(job.id)) for job in jobs]

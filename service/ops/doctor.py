"""The checks of `clipbell doctor`: one result per subject, with its fix."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from service import store
from service.bootstrap import Wiring, build
from service.catalogue.models import VENDORS
from service.errors import BadToken, ClipbellError, OutboundError
from service.formatting import format_duration, format_size
from service.media import probe
from service.ops.broker import broker_trouble
from service.ops.doctor_outside import (
    check_channels,
    check_ledger,
    check_vendors,
    check_worker,
    unreachable_address,
)
from service.ops.health import Check
from service.ops.health import examine as look_at_health
from service.settings import Settings, load_settings, misspelt
from service.signing import key_ids
from service.store.database import Database

PROBE_SECONDS = 5.0
#: Endings of names that no public server has.
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
#: A greater difference of clocks breaks signatures and links.
CLOCK_SECONDS = 60.0
#: A worker without a heartbeat for longer does not run any more.
WORKER_SEEN = timedelta(minutes=1)
#: Checks of `/readyz` that are also useful before the worker starts.
RUNNING = ("disk", "providers", "channels", "clock", "rows", "callbacks")


def open_database(settings: Settings) -> Database:
    """Open only the database, for verbs that need nothing else."""
    return Database(settings.database_url)


def examine() -> list[Check]:
    """The results of all checks; with invalid settings only the result of that check."""
    try:
        wiring = build(load_settings())
    except ClipbellError as error:
        return [Check("settings", False, str(error))]
    checks = [Check("settings", True, "all values can be used")]
    checks += [Check("settings", False, sentence) for sentence in misspelt()]
    checks += findings(wiring, CHECKS)
    health = look_at_health(
        wiring.db, wiring.storage, wiring.providers, wiring.clock(), wiring.settings
    )
    checks += [check for check in health.checks if check.name in RUNNING and not check.ok]
    wiring.close()
    return checks


def findings(w: Wiring, subjects: Iterable[str]) -> list[Check]:
    """The results of these `CHECKS`, in their order; an exception is a failed check."""
    checks = []
    for subject in subjects:
        try:
            checks.append(CHECKS[subject](w))
        except ClipbellError as error:
            checks.append(Check(subject, False, str(error)))
    return checks


def check_database(w: Wiring) -> Check:
    """The database answers, and its schema is this version's."""
    w.db.check()
    w.db.check_writable()
    return Check("database", True, f"{w.db.product}, schema at {w.db.version().at}")


def check_storage(w: Wiring) -> Check:
    """The storage takes files."""
    w.storage.check()
    free = shutil.disk_usage(w.storage.folder).free
    return Check("storage", True, f"{format_size(free)} free in {w.storage.folder}")


def check_providers(w: Wiring) -> Check:
    """A vendor has a key."""
    if not w.providers:
        fix = "set CLIPBELL_APIXO_API_KEY (or run `clipbell demo`, which needs none)"
        return Check("providers", False, f"no provider has a key: {fix}")
    missing = [name for name in w.settings.providers if name not in w.providers]
    if missing:
        word = "API_KEY" if VENDORS[missing[0]].base_url else "BASE_URL"
        fix = f"set CLIPBELL_{missing[0].upper()}_{word}, or take it out of CLIPBELL_PROVIDERS"
        return Check(
            "providers", False, f"{missing[0]} is in CLIPBELL_PROVIDERS but cannot be used: {fix}"
        )
    unproven = [name for name in w.providers if not VENDORS[name].proven]
    more = f"; not yet run against the live API: {', '.join(unproven)}" if unproven else ""
    return Check("providers", True, f"keys for {', '.join(w.providers)}{more}")


def check_public_url(w: Wiring) -> Check:
    """Call this service at its public address, as providers do, and compare the clocks."""
    url = w.settings.public_url
    if w.settings.pull:
        return Check("public url", True, pull_notice(w.settings))
    if notice := pull_notice(w.settings):
        return Check("public url", False, notice)
    if trouble := unreachable_address(w):
        return Check("public url", False, trouble)
    try:
        answer = w.outbound.call("GET", f"{url}/healthz", seconds=PROBE_SECONDS)
    except OutboundError as error:
        host = urlsplit(url).hostname
        fix = f"callbacks cannot arrive: set CLIPBELL_PUBLIC_URL to where {host} can be reached"
        return Check("public url", False, f"{error}; {fix}")
    if answer.status != 200:
        fix = "does `clipbell serve` run behind it?"
        return Check("public url", False, f"{url}/healthz answered {answer.status}: {fix}")
    try:
        there = parsedate_to_datetime(answer.headers.get("Date") or "").replace(tzinfo=UTC)
    except ValueError:
        return Check("public url", True, "reachable")
    off = abs((datetime.now(UTC) - there).total_seconds())
    if off > CLOCK_SECONDS:
        fix = "synchronise the clock (NTP), or signatures and links will be refused"
        return Check("clock", False, f"{format_duration(off)} apart from the public address: {fix}")
    return Check("public url", True, f"reachable, clocks {format_duration(off)} apart")


def check_engine(w: Wiring) -> Check:
    """The engine that does the work."""
    if w.settings.engine == "threads":
        return Check("engine", True, "threads of `clipbell worker`")
    trouble = broker_trouble(w.settings)
    return Check("engine", not trouble, trouble or "celery, whose broker answers")


def check_secret_keys(w: Wiring) -> Check:
    """Check that all processes have the same secret keys as this one, and that these fit."""
    ours = key_ids(w.settings.keys())
    with w.db.read() as tx:
        others = store.work.other_keys(tx, w.clock() - WORKER_SEEN, ours)
        accounts = store.accounts.everyone(tx)
    if others:
        fix = "give all hosts the same CLIPBELL_SECRET_KEYS, newest first, and restart"
        wrong = f"{', '.join(others)} with other keys than here ({ours.replace(' ', ', ')})"
        return Check("secret keys", False, f"in the last minute ran {wrong}: {fix}")
    try:
        for account in accounts:
            w.encryptor.decrypt(account.webhook_secret)
    except BadToken as error:
        return Check("secret keys", False, str(error))
    return Check("secret keys", True, f"{ours.replace(' ', ', ')}, the newest first")


def pull_notice(settings: Settings) -> str:
    """A warning if vendors cannot reach PUBLIC_URL; blank if they can."""
    url = settings.public_url
    if settings.pull:
        return f"pull mode: vendors need not reach {url}, jobs are polled"
    real = settings.usable_vendors
    real = [name for name in real if not _is_private(settings.base_url_of(name))]
    calling = [name for name in real if any(m.calls_back for m in VENDORS[name].models)]
    if not calling or not _is_private(url):
        return ""
    who = " and ".join(VENDORS[name].title for name in calling)
    fix = "set CLIPBELL_PUBLIC_URL to a public address, or CLIPBELL_PULL=true to poll at once"
    return f"{who} cannot reach {url}, so no callback arrives and jobs end late: {fix}"


def _is_private(url: str) -> bool:
    """Whether a URL is on this machine or a private network; names are not resolved."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith(PRIVATE_NAMES)


def check_media(_: Wiring) -> Check:
    """The libraries for posters and lengths are there."""
    if not probe.available():
        fix = "pip install 'clipbell[media]'"
        return Check("media", False, f"no posters and no lengths of videos: {fix}")
    return Check("media", True, "posters and lengths can be read")


CHECKS: dict[str, Callable[[Wiring], Check]] = {
    "database": check_database,
    "storage": check_storage,
    "providers": check_providers,
    "vendor keys": check_vendors,
    "vendor tasks": check_ledger,
    "channels": check_channels,
    "worker": check_worker,
    "public url": check_public_url,
    "secret keys": check_secret_keys,
    "media": check_media,
    "engine": check_engine,
}
#: The checks that neither call another machine nor write.
QUICK = ("database", "providers", "media")

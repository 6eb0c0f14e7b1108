"""What `clipbell doctor` looks at: one finding per subject, each with its fix."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from service.bootstrap import Wiring, build
from service.errors import ClipbellError, OutboundError
from service.formatting import format_duration, format_size
from service.media import probe
from service.ops.health import examine as look_at_health
from service.settings import Settings, load_settings, misspelt
from service.store.database import Database

PROBE_SECONDS = 5.0
CLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """What was found of one subject; the message of one that is not ok ends in its fix."""

    subject: str
    ok: bool
    message: str


def open_database(settings: Settings) -> Database:
    """The database alone, for verbs that need nothing else."""
    return Database(settings.database_url)


def examine() -> list[Finding]:
    """All findings; without usable settings there is only that one."""
    try:
        wiring = build(load_settings())
    except ClipbellError as error:
        return [Finding("settings", False, str(error))]
    found = [Finding("settings", True, "all values can be used")]
    found += [Finding("settings", False, sentence) for sentence in misspelt()]
    found += findings(wiring, CHECKS)
    found += _running(wiring)
    wiring.close()
    return found


def findings(w: Wiring, subjects: Iterable[str]) -> list[Finding]:
    """What was found of these `CHECKS`, one after the other."""
    return [_found(w, subject) for subject in subjects]


def _found(w: Wiring, subject: str) -> Finding:
    try:
        return CHECKS[subject](w)
    except ClipbellError as error:
        return Finding(subject, False, str(error))


#: What `/readyz` says and a person should know before the worker is started, too.
RUNNING = ("disk", "providers", "channels", "clock", "rows", "callbacks")


def _running(w: Wiring) -> list[Finding]:
    health = look_at_health(w.db, w.storage, w.providers, w.clock())
    amiss = [check for check in health.checks if check.name in RUNNING and check.trouble]
    return [Finding(check.name, False, check.trouble) for check in amiss]


def _database(w: Wiring) -> Finding:
    w.db.check()
    return Finding("database", True, f"{w.db.engine.dialect.name}, schema at {w.db.revision()[0]}")


def _storage(w: Wiring) -> Finding:
    w.storage.check()
    free = shutil.disk_usage(w.storage.folder).free
    return Finding("storage", True, f"{format_size(free)} free in {w.storage.folder}")


def _providers(w: Wiring) -> Finding:
    if not w.providers:
        fix = "set CLIPBELL_APIXO_API_KEY (or run `clipbell demo`, which needs none)"
        return Finding("providers", False, f"no provider has a key: {fix}")
    return Finding("providers", True, f"keys for {', '.join(w.providers)}")


def _public_url(w: Wiring) -> Finding:
    """Asks the public address for this service, as a provider's callback would."""
    url = w.settings.public_url
    try:
        answer = w.outbound.call("GET", f"{url}/healthz", seconds=PROBE_SECONDS)
    except OutboundError as error:
        host = urlsplit(url).hostname
        fix = f"callbacks cannot arrive: set CLIPBELL_PUBLIC_URL to where {host} can be reached"
        return Finding("public url", False, f"{error}; {fix}")
    if answer.status != 200:
        fix = "is `clipbell serve` behind it?"
        return Finding("public url", False, f"{url}/healthz answered {answer.status}: {fix}")
    return _clock(answer.headers.get("Date"))


def _clock(date: str | None) -> Finding:
    try:
        there = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
    except ValueError:
        return Finding("public url", True, "reachable")
    off = abs((datetime.now(UTC) - there).total_seconds())
    if off > CLOCK_SECONDS:
        fix = "synchronise the clock (NTP), or signatures and links will be refused"
        return Finding(
            "clock", False, f"{format_duration(off)} apart from the public address: {fix}"
        )
    return Finding("public url", True, f"reachable, clocks {format_duration(off)} apart")


def _media(_: Wiring) -> Finding:
    if not probe.available():
        fix = "pip install 'clipbell[media]'"
        return Finding("media", False, f"no posters and no lengths of videos: {fix}")
    return Finding("media", True, "posters and lengths can be read")


CHECKS: dict[str, Callable[[Wiring], Finding]] = {
    "database": _database,
    "storage": _storage,
    "providers": _providers,
    "public url": _public_url,
    "media": _media,
}
#: Those that ask nobody and write nothing.
QUICK = ("database", "providers", "media")

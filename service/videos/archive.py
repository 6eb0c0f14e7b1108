"""Videos: copied on arrival, since every provider's link ends."""

from __future__ import annotations

import base64
import hashlib
import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sqlalchemy import Connection

from service import store
from service.catalogue.models import find_offer
from service.errors import ClipbellError, NotFound, ProviderError
from service.events.record import record_event
from service.formatting import format_size, iso
from service.media import probe
from service.media.containers import VIDEO_TYPES, BrokenMovie, ProbeResult
from service.model import Clock, EventType, Job, Outcome, Video, VideoState
from service.model.error_codes import strip_unstorable
from service.outbound.client import Outbound
from service.providers.base import Provider
from service.retry import backoff
from service.settings import Settings
from service.storage import FileMissing, FileStorage, Storage, StorageError
from service.storage.uploads import images_of
from service.store.database import Database
from service.videos.downloads import DownloadError, opened

log = logging.getLogger(__name__)

COPY_SECONDS = 300.0
#: The rest is for looking at the file and putting it away.
LEASE_SECONDS = COPY_SECONDS + 120.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 1800.0
#: Between two tries while our own storage cannot be written.
STORAGE_PAUSE = timedelta(minutes=1)
#: A try that brought so much of a file was a good one: the next need not wait.
GOOD_GAIN = 1024**2
#: Where nobody says how long a file can be had, it is tried so long.
TRIED = timedelta(hours=24)
#: In this last part of that time a film that breaks off, but plays, is taken as it comes.
LATE_SHARE = 1 / 4
#: So long before the provider's link ends people hear that there is no copy.
WARNING = timedelta(hours=6)
#: Characters of the prompt in a file's name; no file system takes many more.
NAME_LENGTH = 60


@dataclass(frozen=True)
class Link:
    """Where a video lies, and the headers of a request for it: a key, where it takes one."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Copy:
    """A video in storage: its columns, what it is, and what was odd about it."""

    columns: dict[str, Any]
    film: ProbeResult | None
    remark: str = ""


def archive_video(
    db: Database,
    providers: Mapping[str, Provider],
    outbound: Outbound,
    storage: Storage,
    settings: Settings,
    clock: Clock,
) -> bool:
    """Copy the next video; False if there is none."""
    with db.write() as tx:
        video = store.videos.claim_pending(tx, clock(), LEASE_SECONDS)
    if video is None:
        return False
    try:
        if video.file:
            copy = _keep_answer(FileStorage(settings.answers), storage, video.file)
        else:
            link = _link_of(db, providers, video)
            copy = _copy(outbound, storage, settings, video, link, clock())
    except Exception as error:
        # Whatever it was counts as a failed try: no video may come up again for ever.
        if not isinstance(error, ClipbellError):
            log.exception("cannot copy %s", video.id)
        _settle_failure(db, providers, video, error, clock)
    else:
        with db.write() as tx:
            _settle_copy(tx, video, copy, clock())
    return True


def _copy(
    outbound: Outbound,
    storage: Storage,
    settings: Settings,
    video: Video,
    link: Link,
    now: datetime,
) -> Copy:
    """Bring the file and its poster into storage."""
    most = settings.archive_max_bytes
    with opened(settings.downloads, video.id, now) as download:
        download.fetch(outbound, link.url, COPY_SECONDS, most, link.headers)
        try:
            film, remark = _judge(download.path, video, now)
        except BrokenMovie as error:
            download.restart()
            raise DownloadError(f"the provider sent a file that is not a video: {error}") from error
        name = f"{video.id}.{film.extension}"
        columns = {"file": name, "bytes": download.size, "sha256": download.sha256}
        download.move_to(storage, name)
    return Copy(columns | _describe(storage, name, film), film, remark)


def _judge(path: Path, video: Video, now: datetime) -> tuple[ProbeResult, str]:
    """The film; late, one that is damaged but plays is better than none, and has a remark."""
    try:
        return probe.probe(path), ""
    except BrokenMovie as error:
        ends = _end_of_link(video)
        if now < ends - (ends - video.created_at) * LATE_SHARE:
            raise
        return probe.salvage(path), f"the video is damaged: {error}"


def _keep_answer(answers: FileStorage, storage: Storage, name: str) -> Copy:
    """A file that came as the answer itself: damaged or not, there is no other."""
    source = answers if answers.exists(name) else storage
    if source is storage:
        # It was stored under a name of its kind, which was not known when it came.
        names = (f"{_stem(name)}.{extension}" for extension in VIDEO_TYPES)
        name = next((found for found in names if storage.exists(found)), name)
    with source.local(name) as path:
        film, remark = None, ""
        try:
            film = probe.probe(path)
        except BrokenMovie as error:
            remark = f"the video is damaged: {error}"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        kept = name
        if source is answers:
            # It is in one of them, whole, whenever we may be struck.
            kept = f"{_stem(name)}.{film.extension}" if film else name
            storage.take(path, kept)
    answers.delete(name)
    columns = {"file": kept, "bytes": size, "sha256": digest}
    return Copy(columns | (_describe(storage, kept, film) if film else {}), film, remark)


def _describe(storage: Storage, name: str, film: ProbeResult) -> dict[str, Any]:
    """The columns that describe the picture; its poster is put beside the file."""
    columns = {"seconds": film.seconds, "width": film.width, "height": film.height}
    if film.poster is None:
        return columns
    poster = f"{_stem(name)}.jpg"
    with storage.writing(poster) as file:
        file.write(film.poster)
    return {**columns, "poster_file": poster}


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _settle_copy(tx: Connection, video: Video, copy: Copy, now: datetime) -> None:
    changes: dict[str, Any] = {"state": VideoState.STORED, "due_at": None, "stored_at": now}
    changes |= {"note": copy.remark, "attempts": video.attempts + 1, **copy.columns}
    if not store.videos.settle_claimed(tx, video, **changes):
        return
    store.steps.add(tx, video.job_id, "copied", format_size(changes["bytes"]), now)
    job, remarks = store.jobs.find(tx, video.job_id), [copy.remark]
    # It was paid for, so no remark is a reason to refuse it.
    if job is not None and copy.film is not None:
        # The first frame decides the shape where there is one; a model that is gone says nothing.
        model = find_offer(job.model, job.provider)
        shaped = model is not None and not images_of(model, job.input)
        ratio = job.input.get("aspect_ratio") if shaped else None
        differences = probe.differences(copy.film, job.input.get("duration"), ratio)
        remarks = [copy.remark, *differences] if copy.remark else differences
    for remark in remarks:
        store.steps.add(tx, video.job_id, "not as asked", remark, now)
    store.deliveries.make_due_now(tx, video.job_id, now)


def _settle_failure(
    db: Database,
    providers: Mapping[str, Provider],
    video: Video,
    error: Exception,
    clock: Clock,
) -> None:
    """Try again later, with a fresh link where the old one has ended; to its end, not longer."""
    fresh = _fresh_url(db, providers, video) if getattr(error, "gone", False) else None
    # A storage that cannot be written says nothing of the video: that is waited for.
    ours = isinstance(error, StorageError) and not isinstance(error, FileMissing)
    attempts, note, now = video.attempts + (not ours), strip_unstorable(str(error)), clock()
    ends = _end_of_link(video)
    lost = not ours and (now >= ends or getattr(error, "hopeless", False))
    failures = 1 if getattr(error, "gained", 0) >= GOOD_GAIN else attempts
    pause = timedelta(seconds=backoff(failures, FIRST_PAUSE, LONGEST_PAUSE))
    again = now + STORAGE_PAUSE if ours else min(now + pause, ends)
    with db.write() as tx:
        if store.videos.settle_claimed(
            tx,
            video,
            state=VideoState.LOST if lost else VideoState.PENDING,
            provider_url=fresh or video.provider_url,
            attempts=attempts,
            note=note,
            due_at=None if lost else again,
        ):
            _tell_failure(tx, video, note, None if lost else ends, now)


def _end_of_link(video: Video) -> datetime:
    return video.provider_expires_at or video.created_at + TRIED


def _tell_failure(
    tx: Connection, video: Video, note: str, ends: datetime | None, now: datetime
) -> None:
    """
    Each trouble once in the timeline; `ends` is None for the last of them.

    Says once, as an event too, that the provider's link, which ends, is all there is.
    """
    if ends is None:
        store.steps.add(tx, video.job_id, "lost", note, now)
        store.deliveries.make_due_now(tx, video.job_id, now)
    elif note != video.note:
        message = f"{note}; it is tried again until {iso(ends)}"
        store.steps.add(tx, video.job_id, "copy failed", message, now)
    if ends is None or now >= ends - WARNING:
        job = store.jobs.find(tx, video.job_id)
        types = [event.type for event in store.events.of_job(tx, video.job_id)]
        if job and video.provider_url and EventType.VIDEO_EXPIRING not in types:
            record_event(tx, job, EventType.VIDEO_EXPIRING, now)


def _link_of(db: Database, providers: Mapping[str, Provider], video: Video) -> Link:
    """Where the video lies now. Raises DownloadError."""
    if video.provider_url:
        return _without_login(video.provider_url)
    provider, found = _look_again(db, providers, video)
    link = _without_login(found.result_url or "")
    return replace(link, headers=link.headers | provider.headers()) if found.is_private else link


def _without_login(url: str) -> Link:
    """The link; a user and password in it go as a header, since no URL may carry them."""
    parts = urlsplit(url)
    if parts.username is None:
        return Link(url, {})
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Link(bare, {"Authorization": f"Basic {base64.b64encode(login).decode()}"})


def _fresh_url(db: Database, providers: Mapping[str, Provider], video: Video) -> str | None:
    """Another look at the task may give a link that works for everybody."""
    try:
        _, found = _look_again(db, providers, video)
    except DownloadError:
        return None
    return None if found.is_private else found.result_url


def _look_again(
    db: Database, providers: Mapping[str, Provider], video: Video
) -> tuple[Provider, Outcome]:
    """The provider, and what it says now of a task with a result. Raises DownloadError."""
    with db.read() as tx:
        job = store.jobs.find(tx, video.job_id)
    provider = providers.get(job.provider) if job else None
    if job is None or provider is None:
        raise DownloadError("there is no link, and nobody to ask for one")
    try:
        found = provider.fetch(job)
    except ProviderError as error:
        raise DownloadError(f"there is no link: {error.message}") from error
    if not found.result_url:
        raise DownloadError("there is no link: the provider gives none")
    return provider, found


def viewable(db: Database, video_id: str) -> tuple[Video, Job]:
    """A video and its job. Raises NotFound."""
    with db.read() as tx:
        video = store.videos.find(tx, video_id)
        job = store.jobs.find(tx, video.job_id) if video else None
    if video is None or job is None:
        raise NotFound("there is no such video")
    return video, job


def file_name(job: Job, file: str) -> str:
    """
    A name to save a job's stored file under: the prompt's words and the end of the job's id.

    Such as ``a-fox-in-the-snow-3f9a1c.mp4``; letters of every script stay.
    """
    prompt = str(job.input.get("prompt", "")).lower()
    # Vowel signs of many scripts are marks, and no letters.
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in prompt)
    words = "-".join("".join(kept).split())
    return f"{words[:NAME_LENGTH].rstrip('-') or 'video'}-{job.id[-6:]}.{file.rpartition('.')[2]}"

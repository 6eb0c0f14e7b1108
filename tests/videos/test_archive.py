"""Copies: whole and true, or not at all; a link that ended is asked for again."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.factories import rendered, video_of
from support.file_server import FileServer, Turn, original, says
from support.film import MATRICES, film, padding, record, sound, turned
from support.harness import Harness
from support.reach import access
from support.sandboxes import SandboxClient
from support.servers import Hook

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.errors import ProviderError, Unanswered
from service.formatting import iso
from service.jobs.outcomes import record_outcome
from service.model import EventType, Job, JobState, Outcome, TaskState, VideoState
from service.providers.apixo import Apixo
from service.storage import FileStorage
from service.videos.archive import LEASE_SECONDS, archive_video

FILM = film()
MOOV_LAST = record()
WHOLE = Turn(original(FILM))
DAY = 24 * 3600
#: Longer than any pause between tries.
PAUSE = 1900


@pytest.fixture
def files() -> Iterator[FileServer]:
    """A vendor's file server."""
    with FileServer(WHOLE) as made:
        yield made


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor; no video may be larger than a million bytes."""
    return {"apixo_base_url": sandbox.server.url, "poll_after": 30, "archive_max_bytes": 1_000_000}


def succeeded(harness: Harness, url: str, **asked: Any) -> Job:
    """A job whose result is said to lie there; `asked` is its input besides the prompt."""
    job = harness.new_job(input={"prompt": "A fox", **asked})
    outcome = Outcome(TaskState.SUCCEEDED, result_url=url)
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "callback", harness.clock())
    return job


def archive(harness: Harness, rounds: int = 1) -> None:
    """Copy what is due, so often, with time enough between."""
    for _ in range(rounds):
        harness.drain("archive")
        harness.clock.advance(PAUSE)


def kept_files(harness: Harness) -> list[str]:
    """Everything below the storage's folder."""
    folder = harness.wiring.storage.folder
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def part_files(harness: Harness) -> list[str]:
    """Everything that is on its way here."""
    folder = harness.wiring.settings.data_dir / "downloads"
    return sorted(path.name for path in folder.iterdir() if path.stat().st_size)


def steps(harness: Harness, job: Job, *kinds: str) -> list[str]:
    """What the timeline says under these heads."""
    with harness.db.read() as tx:
        return [step.message for step in store.steps.of_job(tx, job.id) if step.kind in kinds]


def events(harness: Harness, job: Job) -> list[EventType]:
    """The job's events in order."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def test_copied(harness: Harness, sandbox: SandboxClient) -> None:
    """The copy is the vendor's file byte for byte, with its figures and a poster."""
    job = rendered(harness, sandbox, "")
    archive(harness)
    video = video_of(harness, job)
    original = sandbox.call("GET", video.provider_url or "").body
    copy = harness.wiring.storage.read(video.file or "")

    assert VideoState.STORED is video.state
    assert original == copy
    assert (len(original), hashlib.sha256(original).hexdigest()) == (video.bytes, video.sha256)
    assert (160, 90, 5.0) == (video.width, video.height, round(video.seconds or 0, 1))
    assert harness.wiring.storage.exists(video.poster_file or "")


def test_cut_short(harness: Harness, sandbox: SandboxClient) -> None:
    """Half a file is none; the next try brings it whole."""
    job = rendered(harness, sandbox, "[cut]")
    harness.drain("archive")
    assert (VideoState.PENDING, []) == (video_of(harness, job).state, kept_files(harness))
    archive(harness, 2)

    assert VideoState.STORED is video_of(harness, job).state


def test_gone_for_good(harness: Harness, sandbox: SandboxClient) -> None:
    """A result that is nowhere any more is given up in the end, and the job stays succeeded."""
    job = rendered(harness, sandbox, "[gone]")
    archive(harness, DAY // PAUSE - 1)
    assert VideoState.PENDING is video_of(harness, job).state
    until_lost(harness, job)

    assert (VideoState.LOST, None) == (video_of(harness, job).state, video_of(harness, job).due_at)
    assert ("succeeded", True) == (harness.job(job).state, "404" in video_of(harness, job).note)
    assert 1 == len(steps(harness, job, "lost"))


DAMAGED = FILM[: FILM.index(b"mdat") + 4] + b"\xff" * (len(FILM) - FILM.index(b"mdat") - 4)
NO_VIDEOS = [
    (b"<!DOCTYPE html><p>expired", "a web page"),
    (b"", "empty"),
    (b"\x89PNG" + b"0" * 9, "no MP4"),
    (FILM[:-9], "9 bytes of its mdat box are missing"),
    (DAMAGED, "cannot be decoded"),
]


@pytest.mark.parametrize(("body", "says_"), NO_VIDEOS)
def test_no_video(harness: Harness, files: FileServer, body: bytes, says_: str) -> None:
    """What is no whole video is reported, and fetched again until it is one."""
    files.turns = [says(200, body), says(200, body), WHOLE]
    job = succeeded(harness, files.url + "/a")
    archive(harness, 2)
    report = steps(harness, job, "copy failed")

    assert (VideoState.PENDING, []) == (video_of(harness, job).state, kept_files(harness))
    assert (1, True) == (len(report), says_ in report[0])
    assert report[0].endswith("; it is tried again until 2026-01-02T12:00:00Z")
    archive(harness)
    assert VideoState.STORED is video_of(harness, job).state
    assert (FILM, []) == (content(harness, job), part_files(harness))


LINE = b"\r\n-- appended by the encoder farm, 42 --\r\n"
FILMS = [
    ("a line behind it", FILM + LINE, "mp4", (3.0, 64, 36)),
    ("on its side", turned(FILM, MATRICES["ROTATE_270"]), "mp4", (3.0, 36, 64)),
    ("WebM", record(kind="webm", codec="libvpx-vp9"), "webm", (3.0, 64, 36)),
    ("MOV", record(kind="mov"), "mov", (3.0, 64, 36)),
    ("Matroska", record(kind="mkv"), "mkv", (3.0, 64, 36)),
    ("fragments", record(flags="frag_keyframe+empty_moov"), "mp4", (3.0, 64, 36)),
]


@pytest.mark.parametrize(
    ("body", "kind", "figures"),
    [case[1:] for case in FILMS],
    ids=[case[0] for case in FILMS],
)
def test_any_film(
    harness: Harness, files: FileServer, body: bytes, kind: str, figures: tuple[float, int, int]
) -> None:
    """Whatever a decoder plays is kept byte for byte, as what it is, upright and with a poster."""
    files.turns = [says(200, body)]
    job = succeeded(harness, files.url + "/a")
    archive(harness)
    video = video_of(harness, job)

    assert (VideoState.STORED, f"{video.id}.{kind}") == (video.state, video.file)
    assert (body, figures) == (content(harness, job), (video.seconds, video.width, video.height))
    assert [f"{video.id}.jpg", video.file] == sorted(kept_files(harness))
    assert 1 == len(files.paths)


def test_sound_alone(harness: Harness, files: FileServer) -> None:
    """What has no picture is no video, and is fetched again until it is one."""
    files.turns = [says(200, sound()), WHOLE]
    job = succeeded(harness, files.url + "/a")
    archive(harness, 2)

    assert VideoState.STORED is video_of(harness, job).state
    assert "no picture" in steps(harness, job, "copy failed")[0]


def content(harness: Harness, job: Job) -> bytes:
    """The bytes of our copy."""
    return harness.wiring.storage.read(video_of(harness, job).file or "")


def test_never_a_video(harness: Harness, files: FileServer) -> None:
    """The tries end with the provider's link, grow rare before, and leave nothing."""
    files.turns = [says(200, b"<html>")]
    job = succeeded(harness, files.url + "/a")
    until_lost(harness, job)

    assert harness.clock() == video_of(harness, job).provider_expires_at
    assert 40 < len(files.paths) < 70
    assert ("succeeded", []) == (harness.job(job).state, kept_files(harness))
    assert ["the provider sent a file that is not a video: it is a web page"] == steps(
        harness, job, "lost"
    )


def test_never_whole(harness: Harness, files: FileServer) -> None:
    """A film that always breaks off is kept late, with a remark, where it plays all the same."""
    files.turns = [says(200, FILM[:-9])]
    job = succeeded(harness, files.url + "/a")
    archive(harness, DAY * 2 // 3 // PAUSE)
    assert VideoState.PENDING is video_of(harness, job).state
    until_lost(harness, job)
    video, report = video_of(harness, job), steps(harness, job, "not as asked")

    assert (VideoState.STORED, FILM[:-9]) == (video.state, content(harness, job))
    assert (True, 3.0) == (video.poster_file is not None, video.seconds)
    assert "the video is damaged: it breaks off: 9 bytes of its mdat box are missing" == report[0]
    assert [] == steps(harness, job, "lost")


@pytest.mark.parametrize("body", [DAMAGED, MOOV_LAST[:-900], sound()])
def test_never_plays(harness: Harness, files: FileServer, body: bytes) -> None:
    """What no decoder plays is fetched again, late too, and given up in the end."""
    files.turns = [says(200, body)]
    job = succeeded(harness, files.url + "/a")
    states = []
    for hours in (0, 23, 1):
        harness.clock.advance(hours * 3600)
        harness.drain("archive")
        states.append(video_of(harness, job).state)

    assert [VideoState.PENDING, VideoState.PENDING, VideoState.LOST] == states
    assert (3, []) == (len(files.paths), kept_files(harness))


def until_lost(harness: Harness, job: Job) -> None:
    """Try whenever a try is due, to the end."""
    while due_at := video_of(harness, job).due_at:
        harness.clock.now = max(due_at, harness.clock.now)
        harness.drain("archive")


@pytest.mark.parametrize("length", ["", "1000001"])
def test_too_large(harness: Harness, files: FileServer, length: str) -> None:
    """What is beyond the cap is not tried again, and nothing of it is kept."""
    files.turns = [
        Turn(replace(original(FILM), size=1_000_001), headers={"Content-Length": length})
    ]
    job = succeeded(harness, files.url + "/a")
    archive(harness, 3)

    assert (VideoState.LOST, 1) == (video_of(harness, job).state, len(files.paths))
    assert ([], []) == (kept_files(harness), part_files(harness))
    assert "ARCHIVE_MAX_BYTES" in video_of(harness, job).note
    assert [EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING] == events(harness, job)


LONG = replace(original(FILM + padding(500_000)), size=len(FILM) + 500_008)


def test_goes_on_by_ranges(harness: Harness, files: FileServer) -> None:
    """A connection that broke is gone on with where it did, in the next try."""
    files.turns = [Turn(LONG, etag='"1"', cut=200_000), Turn(LONG, etag='"1"')]
    job = succeeded(harness, files.url + "/a")
    archive(harness)
    assert ([], ["vid", "vid"]) == (kept_files(harness), [n[:3] for n in part_files(harness)])
    archive(harness)
    whole = b"".join(LONG.pieces(0, LONG.size))

    assert VideoState.STORED is video_of(harness, job).state
    assert (whole, []) == (content(harness, job), part_files(harness))
    assert hashlib.sha256(whole).hexdigest() == video_of(harness, job).sha256
    assert '"1"' == files.asked[1]["if-range"]


def test_good_tries_do_not_wait(harness: Harness, files: FileServer) -> None:
    """A link that breaks off again and again, but gets on, is not put off for long."""
    size = 5 * 1024**2
    harness.wiring.settings.archive_max_bytes = size
    large = replace(original(FILM + padding(size - len(FILM) - 8)), size=size)
    files.turns = [*[says(503)] * 6, Turn(large, etag='"1"', cut=1_200_000)]
    job = succeeded(harness, files.url + "/a")
    archive(harness, 6)
    for _ in range(5):
        harness.drain("archive")
        harness.clock.advance(2)

    assert VideoState.STORED is video_of(harness, job).state


@pytest.mark.parametrize(
    ("asked", "report"),
    [
        ({"duration": 5, "aspect_ratio": "16:9"}, ["it lasts 3 s, 5 s were asked for"]),
        ({"duration": 5, "image_urls": ["https://example.com/a.png"]}, ["it lasts 3 s, 5"]),
        ({"duration": 5, "aspect_ratio": "1:1"}, ["it lasts", "it is 64 × 36, 1:1 was asked"]),
    ],
)
def test_not_as_asked(
    harness: Harness, files: FileServer, asked: dict[str, Any], report: list[str]
) -> None:
    """Another length or shape is reported in the timeline; the video is kept all the same."""
    job = succeeded(harness, files.url + "/a", **asked)
    archive(harness)
    found = steps(harness, job, "not as asked")

    assert VideoState.STORED is video_of(harness, job).state
    assert len(report) == len(found)
    assert all(line.startswith(start) for line, start in zip(found, report, strict=True))


@pytest.mark.parametrize(("asked", "remarks"), [("9:16", 0), ("16:9", 1)])
def test_shape_of_a_film_on_its_side(
    harness: Harness, files: FileServer, asked: str, remarks: int
) -> None:
    """The shape that counts is the one in which a film is shown."""
    files.turns = [says(200, turned(FILM, MATRICES["ROTATE_270"]))]
    job = succeeded(harness, files.url + "/a", aspect_ratio=asked)
    archive(harness)

    assert remarks == sum("×" in line for line in steps(harness, job, "not as asked"))


def test_model_that_is_gone(harness: Harness, files: FileServer) -> None:
    """A job's video is copied also when a later version's catalogue has its model no more."""
    job = succeeded(harness, files.url + "/a", aspect_ratio="1:1")
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUCCEEDED], model="gone")
    archive(harness)

    assert VideoState.STORED is video_of(harness, job).state


def test_as_asked(harness: Harness, sandbox: SandboxClient) -> None:
    """Nothing is said of a video that is what was asked for."""
    job = rendered(harness, sandbox, "")
    archive(harness)

    assert [] == steps(harness, job, "not as asked", "copy failed")


WEBM = record(kind="webm", codec="libvpx-vp9")


def answered(harness: Harness, body: bytes) -> Job:
    """A job whose one answer was this, and lies on our disk."""
    job = harness.new_job(input={"prompt": "A fox", "duration": 5})
    name = f"vid_{job.id[4:]}.mp4"
    with FileStorage(harness.wiring.settings.answers).writing(name) as file:
        file.write(body)
    outcome = Outcome(TaskState.SUCCEEDED, result_file=name)
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "answer", harness.clock())
    return job


@pytest.mark.parametrize(
    ("body", "kind", "remarks"), [(FILM, "mp4", 0), (FILM[:-9], "mp4", 1), (WEBM, "webm", 0)]
)
def test_answer_that_was_the_video(harness: Harness, body: bytes, kind: str, remarks: int) -> None:
    """A file that came as the answer is ours already; a damaged one is kept, there is no other."""
    job = answered(harness, body)
    archive(harness)
    video, found = video_of(harness, job), steps(harness, job, "not as asked")

    assert (VideoState.STORED, f"vid_{job.id[4:]}.{kind}") == (video.state, video.file)
    assert (body, len(body)) == (content(harness, job), video.bytes)
    assert hashlib.sha256(body).hexdigest() == video.sha256
    assert remarks == sum("damaged" in line for line in found)
    assert (video.poster_file is None) == bool(remarks)
    assert not list(FileStorage(harness.wiring.settings.answers).names("vid"))


@pytest.mark.parametrize(("body", "kind"), [(FILM, "mp4"), (WEBM, "webm"), (FILM[:-9], "mp4")])
def test_struck_behind_the_answers_removal(harness: Harness, body: bytes, kind: str) -> None:
    """A worker that died before it could say so has put the file where the next one finds it."""
    job = answered(harness, body)
    FileStorage(harness.wiring.settings.answers).delete(f"vid_{job.id[4:]}.mp4")
    name = f"vid_{job.id[4:]}.{kind}"
    with harness.wiring.storage.writing(name) as file:
        file.write(body)
    archive(harness)

    assert (VideoState.STORED, name) == (video_of(harness, job).state, video_of(harness, job).file)
    assert (body, len(body)) == (content(harness, job), video_of(harness, job).bytes)


def test_answer_is_gone(harness: Harness) -> None:
    """A file that is gone is waited for, as long as a link, and then given up without a warning."""
    job = harness.new_job()
    outcome = Outcome(TaskState.SUCCEEDED, result_file=f"vid_{job.id[4:]}.mp4")
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "answer", harness.clock())
    until_lost(harness, job)

    assert DAY == (harness.clock() - harness.job(job).created_at).total_seconds()
    assert [EventType.JOB_SUCCEEDED] == events(harness, job)


def test_storage_does_not_take_it(harness: Harness, files: FileServer) -> None:
    """A file that came is not fetched twice because it could not be put away."""
    job = succeeded(harness, files.url + "/a")
    harness.wiring.storage.folder.parent.mkdir(parents=True, exist_ok=True)
    harness.wiring.storage.folder.touch()
    archive(harness)
    assert "cannot write" in video_of(harness, job).note
    harness.wiring.storage.folder.unlink()
    archive(harness)

    assert (VideoState.STORED, 1) == (video_of(harness, job).state, len(files.paths))


@pytest.mark.parametrize(("hops", "state"), [(3, VideoState.STORED), (4, VideoState.PENDING)])
def test_redirects(harness: Harness, files: FileServer, hops: int, state: VideoState) -> None:
    """Three redirects are followed, no fourth, and without any credentials of ours."""
    on = [says(302, Location=f"/{number}") for number in range(hops)]
    files.turns = [*on, WHOLE]
    job = succeeded(harness, files.url + "/start")
    harness.drain("archive")

    assert (state, 4) == (video_of(harness, job).state, len(files.paths))
    assert not {"authorization", "x-api-key"} & {name for asked in files.asked for name in asked}


def test_link_with_a_login(harness: Harness, files: FileServer) -> None:
    """A user and password in a vendor's link are used, as a header."""
    job = succeeded(harness, files.url.replace("://", "://u%40x:p%2Fw@") + "/a?t=1#x")
    harness.drain("archive")
    expected = f"Basic {b64encode(b'u@x:p/w').decode()}"

    assert VideoState.STORED is video_of(harness, job).state
    assert (["/a?t=1"], expected) == (files.paths, files.asked[0]["authorization"])


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "http://[::ffff:10.0.0.1]/x", "http://10.1.1.1/x"]
)
@pytest.mark.parametrize("by", ["result", "redirect"])
def test_inner_network(harness: Harness, files: FileServer, url: str, by: str) -> None:
    """No result, and no redirect of one, makes us look into the inner network."""
    files.turns = [says(302, Location=url)]
    job = succeeded(harness, url if by == "result" else files.url + "/a")
    harness.drain("archive")

    assert "not public" in video_of(harness, job).note


class Renewing(Apixo):
    """A vendor that signs a new link whenever it is asked."""

    link = ""
    asked = 0
    trouble: ProviderError | None = None

    def fetch(self, job: Job) -> Outcome:
        """The link of now."""
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return Outcome(TaskState.SUCCEEDED, result_url=self.link)


def archive_with(harness: Harness, provider: Renewing, between: Callable[[], None]) -> None:
    """Copy with that vendor, ten rounds; `between` runs after each."""
    w = harness.wiring
    for _ in range(10):
        archive_video(w.db, {"apixo": provider}, w.outbound, w.storage, w.settings, w.clock)
        between()
        harness.clock.advance(PAUSE)


def renewing(harness: Harness, files: FileServer) -> Renewing:
    """One whose new link works."""
    made = Renewing(access(harness.wiring.outbound, "http://127.0.0.1:9", "k", 1.0))
    made.link = files.url + "/fresh"
    return made


@pytest.mark.parametrize("before", [[], [503], [503, 500, 503]])
def test_link_that_ended(harness: Harness, files: FileServer, before: list[int]) -> None:
    """Whenever a link turns out to have ended, a fresh one is asked for and used."""
    files.turns = [*[says(status) for status in (*before, 403)], WHOLE]
    job = succeeded(harness, files.url + "/old")
    archive_with(harness, renewing(harness, files), lambda: None)

    assert (VideoState.STORED, "/fresh") == (video_of(harness, job).state, files.paths[-1])


def test_vendor_is_away_when_the_link_ended(harness: Harness, files: FileServer) -> None:
    """A vendor that cannot be asked for a fresh link just now is asked again later."""
    files.turns = [says(403), says(403), WHOLE]
    job = succeeded(harness, files.url + "/old")
    vendor = renewing(harness, files)
    vendor.trouble = Unanswered("PROVIDER_UNAVAILABLE", "away")

    def back() -> None:
        vendor.trouble = None

    archive_with(harness, vendor, back)

    assert VideoState.STORED is video_of(harness, job).state


def test_worker_killed_while_copying(harness: Harness, files: FileServer) -> None:
    """A copy whose worker died is made again by the next."""
    files.turns = [says(403), WHOLE]
    job = succeeded(harness, files.url + "/a")

    class Struck(Renewing):
        def fetch(self, job: Job) -> Outcome:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive_with(harness, Struck(access(harness.wiring.outbound, "", "k", 1.0)), lambda: None)
    assert not harness.unit("archive")
    harness.clock.advance(LEASE_SECONDS)
    archive(harness)

    assert VideoState.STORED is video_of(harness, job).state


def subscribed(harness: Harness, hook: Hook) -> None:
    """The hook hears of the account's jobs."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", hook.url)
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())


def test_delivered_before_the_copy(harness: Harness, files: FileServer) -> None:
    """The link is reported once, after a wait at most, and stays the same when the copy comes."""
    with Hook() as hook:
        subscribed(harness, hook)
        job = succeeded(harness, files.url + "/a")
        harness.drain("deliver")
        assert [] == hook.hits
        harness.clock.advance(30)
        harness.drain("deliver")
        archive(harness)
        harness.drain("deliver")
        report = hook.hits[0].json()["data"]["video"]["url"]

    video = video_of(harness, job)
    assert [report] == [harness.wiring.links.url_for(video.link_expires_at, video=video.id)]
    assert 1 == len(hook.hits)


def test_copy_hurries_the_delivery(harness: Harness, files: FileServer) -> None:
    """Once the copy is there nobody waits any longer."""
    with Hook() as hook:
        subscribed(harness, hook)
        job = succeeded(harness, files.url + "/a")
        harness.drain("archive", "deliver")
        report = hook.hits[0].json()

    assert (EventType.JOB_SUCCEEDED, job.id) == (report["type"], report["data"]["id"])
    assert (len(FILM), iso(harness.clock())) == (
        report["data"]["video"]["bytes"],
        report["timestamp"],
    )


def warned(harness: Harness, job: Job) -> list[EventType]:
    """The events besides the end of the job."""
    return [kind for kind in events(harness, job) if kind is not EventType.JOB_SUCCEEDED]


def test_warning_before_the_link_ends(harness: Harness, files: FileServer) -> None:
    """Six hours before the provider's link ends, who wants it hears once that there is no copy."""
    files.turns = [says(503)]
    with Hook() as hook:
        spec = SubscriptionSpec("webhook", hook.url, events=(EventType.VIDEO_EXPIRING,))
        with harness.db.write() as tx:
            subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
        job = succeeded(harness, files.url + "/a")
        ends = video_of(harness, job).provider_expires_at
        assert ends is not None
        notified_at = None
        while due_at := video_of(harness, job).due_at:
            harness.clock.now = max(due_at, harness.clock.now)
            harness.drain("archive", "deliver")
            notified_at = notified_at or (harness.clock.now if hook.hits else None)

    assert notified_at is not None
    assert 5.5 * 3600 < (ends - notified_at).total_seconds() <= 6 * 3600
    assert [EventType.VIDEO_EXPIRING] == [hit.json()["type"] for hit in hook.hits]
    assert iso(ends) == hook.hits[0].json()["data"]["video"]["provider_expires_at"]
    assert [EventType.VIDEO_EXPIRING] == warned(harness, job)


def test_no_warning_with_a_copy(harness: Harness, files: FileServer) -> None:
    """Whose copy is there, however late, hears nothing of links that end."""
    files.turns = [*[says(503)] * 30, WHOLE]
    job = succeeded(harness, files.url + "/a")
    until_lost(harness, job)

    assert VideoState.STORED is video_of(harness, job).state
    assert [] == warned(harness, job)


def test_nobody_was_at_work(harness: Harness, files: FileServer) -> None:
    """After days without a worker there is one try still, and the warning comes late but comes."""
    job, other = succeeded(harness, files.url + "/a"), succeeded(harness, files.url + "/b")
    files.turns = [WHOLE, says(503)]
    harness.clock.advance(3 * DAY)
    archive(harness)
    states = {video_of(harness, one).state for one in (job, other)}
    report = warned(harness, job) + warned(harness, other)

    assert {VideoState.STORED, VideoState.LOST} == states
    assert [EventType.VIDEO_EXPIRING] == report


def test_lost_copy_hurries_the_delivery(harness: Harness, files: FileServer) -> None:
    """Where no copy can come nobody waits for it, and the link leads to the provider."""
    files.turns = [Turn(replace(original(FILM), size=1_000_001))]
    with Hook() as hook:
        subscribed(harness, hook)
        succeeded(harness, files.url + "/a")
        harness.drain("archive", "deliver")
        report = hook.hits[0].json()["data"]["video"]

    assert (files.url + "/a", None) == (report["provider_url"], report["bytes"])
    assert report["url"]

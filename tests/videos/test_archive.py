"""Copies: whole and true, or not at all; a link that ended is asked for again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import Bench
from support.factories import rendered, video_of
from support.file_server import FileServer, Turn, original, says
from support.film import MATRICES, film, padding, record, sound, turned
from support.sandboxes import Wire
from support.servers import Hook

from service import store
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
from service.errors import ProviderError, Unanswered
from service.jobs.outcomes import record_outcome
from service.model import EventType, Job, JobState, Outcome, TaskState, VideoState
from service.model.serializers import iso
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
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor; no video may be larger than a million bytes."""
    return {"apixo_base_url": wire.server.url, "poll_after": 30, "archive_max_bytes": 1_000_000}


def succeeded(bench: Bench, url: str, **asked: Any) -> Job:
    """A job whose result is said to lie there; `asked` is its input besides the prompt."""
    job = bench.new_job(input={"prompt": "A fox", **asked})
    outcome = Outcome(TaskState.SUCCEEDED, result_url=url)
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "callback", bench.clock())
    return job


def archive(bench: Bench, rounds: int = 1) -> None:
    """Copy what is due, so often, with time enough between."""
    for _ in range(rounds):
        bench.drain("archive")
        bench.clock.advance(PAUSE)


def kept_files(bench: Bench) -> list[str]:
    """Everything below the storage's folder."""
    folder = bench.wiring.storage.folder
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def part_files(bench: Bench) -> list[str]:
    """Everything that is on its way here."""
    folder = bench.wiring.settings.data_dir / "downloads"
    return sorted(path.name for path in folder.iterdir() if path.stat().st_size)


def steps(bench: Bench, job: Job, *kinds: str) -> list[str]:
    """What the timeline says under these heads."""
    with bench.db.read() as tx:
        return [step.message for step in store.jobs.all_steps(tx, job.id) if step.kind in kinds]


def events(bench: Bench, job: Job) -> list[EventType]:
    """The job's events in order."""
    with bench.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def test_copied(bench: Bench, wire: Wire) -> None:
    """The copy is the vendor's file byte for byte, with its figures and a poster."""
    job = rendered(bench, wire, "")
    archive(bench)
    video = video_of(bench, job)
    original = wire.call("GET", video.provider_url or "").body
    copy = bench.wiring.storage.read(video.file or "")

    assert VideoState.STORED is video.state
    assert original == copy
    assert (len(original), hashlib.sha256(original).hexdigest()) == (video.bytes, video.sha256)
    assert (160, 90, 5.0) == (video.width, video.height, round(video.seconds or 0, 1))
    assert bench.wiring.storage.exists(video.poster_file or "")


def test_cut_short(bench: Bench, wire: Wire) -> None:
    """Half a file is none; the next try brings it whole."""
    job = rendered(bench, wire, "[cut]")
    bench.drain("archive")
    assert (VideoState.PENDING, []) == (video_of(bench, job).state, kept_files(bench))
    archive(bench, 2)

    assert VideoState.STORED is video_of(bench, job).state


def test_gone_for_good(bench: Bench, wire: Wire) -> None:
    """A result that is nowhere any more is given up in the end, and the job stays succeeded."""
    job = rendered(bench, wire, "[gone]")
    archive(bench, DAY // PAUSE - 1)
    assert VideoState.PENDING is video_of(bench, job).state
    until_lost(bench, job)

    assert (VideoState.LOST, None) == (video_of(bench, job).state, video_of(bench, job).due_at)
    assert ("succeeded", True) == (bench.job(job).state, "404" in video_of(bench, job).note)
    assert 1 == len(steps(bench, job, "lost"))


DAMAGED = FILM[: FILM.index(b"mdat") + 4] + b"\xff" * (len(FILM) - FILM.index(b"mdat") - 4)
NO_VIDEOS = [
    (b"<!DOCTYPE html><p>expired", "a web page"),
    (b"", "empty"),
    (b"\x89PNG" + b"0" * 9, "no MP4"),
    (FILM[:-9], "9 bytes of its mdat box are missing"),
    (DAMAGED, "cannot be decoded"),
]


@pytest.mark.parametrize(("body", "says_"), NO_VIDEOS)
def test_no_video(bench: Bench, files: FileServer, body: bytes, says_: str) -> None:
    """What is no whole video is told, and fetched again until it is one."""
    files.turns = [says(200, body), says(200, body), WHOLE]
    job = succeeded(bench, files.url + "/a")
    archive(bench, 2)
    told = steps(bench, job, "copy failed")

    assert (VideoState.PENDING, []) == (video_of(bench, job).state, kept_files(bench))
    assert (1, True) == (len(told), says_ in told[0])
    assert told[0].endswith("; it is tried again until 2026-01-02T12:00:00Z")
    archive(bench)
    assert VideoState.STORED is video_of(bench, job).state
    assert (FILM, []) == (content(bench, job), part_files(bench))


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
    bench: Bench, files: FileServer, body: bytes, kind: str, figures: tuple[float, int, int]
) -> None:
    """Whatever a decoder plays is kept byte for byte, as what it is, upright and with a poster."""
    files.turns = [says(200, body)]
    job = succeeded(bench, files.url + "/a")
    archive(bench)
    video = video_of(bench, job)

    assert (VideoState.STORED, f"{video.id}.{kind}") == (video.state, video.file)
    assert (body, figures) == (content(bench, job), (video.seconds, video.width, video.height))
    assert [f"{video.id}.jpg", video.file] == sorted(kept_files(bench))
    assert 1 == len(files.paths)


def test_sound_alone(bench: Bench, files: FileServer) -> None:
    """What has no picture is no video, and is fetched again until it is one."""
    files.turns = [says(200, sound()), WHOLE]
    job = succeeded(bench, files.url + "/a")
    archive(bench, 2)

    assert VideoState.STORED is video_of(bench, job).state
    assert "no picture" in steps(bench, job, "copy failed")[0]


def content(bench: Bench, job: Job) -> bytes:
    """The bytes of our copy."""
    return bench.wiring.storage.read(video_of(bench, job).file or "")


def test_never_a_video(bench: Bench, files: FileServer) -> None:
    """The tries end with the provider's link, grow rare before, and leave nothing."""
    files.turns = [says(200, b"<html>")]
    job = succeeded(bench, files.url + "/a")
    until_lost(bench, job)

    assert bench.clock() == video_of(bench, job).provider_expires_at
    assert 40 < len(files.paths) < 70
    assert ("succeeded", []) == (bench.job(job).state, kept_files(bench))
    assert ["what the provider sent is no video: it is a web page"] == steps(bench, job, "lost")


def test_never_whole(bench: Bench, files: FileServer) -> None:
    """A film that always breaks off is kept late, with a remark, where it plays all the same."""
    files.turns = [says(200, FILM[:-9])]
    job = succeeded(bench, files.url + "/a")
    archive(bench, DAY * 2 // 3 // PAUSE)
    assert VideoState.PENDING is video_of(bench, job).state
    until_lost(bench, job)
    video, told = video_of(bench, job), steps(bench, job, "not as asked")

    assert (VideoState.STORED, FILM[:-9]) == (video.state, content(bench, job))
    assert (True, 3.0) == (video.poster_file is not None, video.seconds)
    assert "the video is damaged: it breaks off: 9 bytes of its mdat box are missing" == told[0]
    assert [] == steps(bench, job, "lost")


@pytest.mark.parametrize("body", [DAMAGED, MOOV_LAST[:-900], sound()])
def test_never_plays(bench: Bench, files: FileServer, body: bytes) -> None:
    """What no decoder plays is given up in the end."""
    files.turns = [says(200, body)]
    job = succeeded(bench, files.url + "/a")
    until_lost(bench, job)

    assert (VideoState.LOST, []) == (video_of(bench, job).state, kept_files(bench))


def until_lost(bench: Bench, job: Job) -> None:
    """Try whenever a try is due, to the end."""
    while due_at := video_of(bench, job).due_at:
        bench.clock.now = max(due_at, bench.clock.now)
        bench.drain("archive")


@pytest.mark.parametrize("length", ["", "1000001"])
def test_too_large(bench: Bench, files: FileServer, length: str) -> None:
    """What is beyond the cap is not tried again, and nothing of it is kept."""
    files.turns = [
        Turn(replace(original(FILM), size=1_000_001), headers={"Content-Length": length})
    ]
    job = succeeded(bench, files.url + "/a")
    archive(bench, 3)

    assert (VideoState.LOST, 1) == (video_of(bench, job).state, len(files.paths))
    assert ([], []) == (kept_files(bench), part_files(bench))
    assert "ARCHIVE_MAX_BYTES" in video_of(bench, job).note
    assert [EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING] == events(bench, job)


LONG = replace(original(FILM + padding(500_000)), size=len(FILM) + 500_008)


def test_goes_on_by_ranges(bench: Bench, files: FileServer) -> None:
    """A connection that broke is gone on with where it did, in the next try."""
    files.turns = [Turn(LONG, etag='"1"', cut=200_000), Turn(LONG, etag='"1"')]
    job = succeeded(bench, files.url + "/a")
    archive(bench)
    assert ([], ["vid", "vid"]) == (kept_files(bench), [n[:3] for n in part_files(bench)])
    archive(bench)
    whole = b"".join(LONG.pieces(0, LONG.size))

    assert VideoState.STORED is video_of(bench, job).state
    assert (whole, []) == (content(bench, job), part_files(bench))
    assert hashlib.sha256(whole).hexdigest() == video_of(bench, job).sha256
    assert '"1"' == files.asked[1]["if-range"]


def test_good_tries_do_not_wait(bench: Bench, files: FileServer) -> None:
    """A link that breaks off again and again, but gets on, is not put off for long."""
    size = 5 * 1024**2
    bench.wiring.settings.archive_max_bytes = size
    large = replace(original(FILM + padding(size - len(FILM) - 8)), size=size)
    files.turns = [*[says(503)] * 6, Turn(large, etag='"1"', cut=1_200_000)]
    job = succeeded(bench, files.url + "/a")
    archive(bench, 6)
    for _ in range(5):
        bench.drain("archive")
        bench.clock.advance(2)

    assert VideoState.STORED is video_of(bench, job).state


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"duration": 5, "aspect_ratio": "16:9"}, ["it lasts 3 s, 5 s were asked for"]),
        ({"duration": 5, "image_urls": ["https://example.com/a.png"]}, ["it lasts 3 s, 5"]),
        ({"duration": 5, "aspect_ratio": "1:1"}, ["it lasts", "it is 64 × 36, 1:1 was asked"]),
    ],
)
def test_not_as_asked(
    bench: Bench, files: FileServer, asked: dict[str, Any], told: list[str]
) -> None:
    """Another length or shape is told in the timeline; the video is kept all the same."""
    job = succeeded(bench, files.url + "/a", **asked)
    archive(bench)
    found = steps(bench, job, "not as asked")

    assert VideoState.STORED is video_of(bench, job).state
    assert len(told) == len(found)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True))


@pytest.mark.parametrize(("asked", "remarks"), [("9:16", 0), ("16:9", 1)])
def test_shape_of_a_film_on_its_side(
    bench: Bench, files: FileServer, asked: str, remarks: int
) -> None:
    """The shape that counts is the one in which a film is shown."""
    files.turns = [says(200, turned(FILM, MATRICES["ROTATE_270"]))]
    job = succeeded(bench, files.url + "/a", aspect_ratio=asked)
    archive(bench)

    assert remarks == sum("×" in line for line in steps(bench, job, "not as asked"))


def test_model_that_is_gone(bench: Bench, files: FileServer) -> None:
    """A job's video is copied also when a later version's catalogue has its model no more."""
    job = succeeded(bench, files.url + "/a", aspect_ratio="1:1")
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUCCEEDED], model="gone")
    archive(bench)

    assert VideoState.STORED is video_of(bench, job).state


def test_as_asked(bench: Bench, wire: Wire) -> None:
    """Nothing is said of a video that is what was asked for."""
    job = rendered(bench, wire, "")
    archive(bench)

    assert [] == steps(bench, job, "not as asked", "copy failed")


WEBM = record(kind="webm", codec="libvpx-vp9")


def answered(bench: Bench, body: bytes) -> Job:
    """A job whose one answer was this, and lies on our disk."""
    job = bench.new_job(input={"prompt": "A fox", "duration": 5})
    name = f"vid_{job.id[4:]}.mp4"
    with FileStorage(bench.wiring.settings.answers).writing(name) as file:
        file.write(body)
    outcome = Outcome(TaskState.SUCCEEDED, result_file=name)
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "answer", bench.clock())
    return job


@pytest.mark.parametrize(
    ("body", "kind", "remarks"), [(FILM, "mp4", 0), (FILM[:-9], "mp4", 1), (WEBM, "webm", 0)]
)
def test_answer_that_was_the_video(bench: Bench, body: bytes, kind: str, remarks: int) -> None:
    """A file that came as the answer is ours already; a damaged one is kept, there is no other."""
    job = answered(bench, body)
    archive(bench)
    video, found = video_of(bench, job), steps(bench, job, "not as asked")

    assert (VideoState.STORED, f"vid_{job.id[4:]}.{kind}") == (video.state, video.file)
    assert (body, len(body)) == (content(bench, job), video.bytes)
    assert hashlib.sha256(body).hexdigest() == video.sha256
    assert remarks == sum("damaged" in line for line in found)
    assert (video.poster_file is None) == bool(remarks)
    assert not list(FileStorage(bench.wiring.settings.answers).names("vid"))


@pytest.mark.parametrize(("body", "kind"), [(FILM, "mp4"), (WEBM, "webm"), (FILM[:-9], "mp4")])
def test_struck_behind_the_answers_removal(bench: Bench, body: bytes, kind: str) -> None:
    """A worker that died before it could say so has put the file where the next one finds it."""
    job = answered(bench, body)
    FileStorage(bench.wiring.settings.answers).delete(f"vid_{job.id[4:]}.mp4")
    name = f"vid_{job.id[4:]}.{kind}"
    with bench.wiring.storage.writing(name) as file:
        file.write(body)
    archive(bench)

    assert (VideoState.STORED, name) == (video_of(bench, job).state, video_of(bench, job).file)
    assert (body, len(body)) == (content(bench, job), video_of(bench, job).bytes)


def test_answer_is_gone(bench: Bench) -> None:
    """A file that is gone is waited for, as long as a link, and then given up without a warning."""
    job = bench.new_job()
    outcome = Outcome(TaskState.SUCCEEDED, result_file=f"vid_{job.id[4:]}.mp4")
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "answer", bench.clock())
    until_lost(bench, job)

    assert DAY == (bench.clock() - bench.job(job).created_at).total_seconds()
    assert [EventType.JOB_SUCCEEDED] == events(bench, job)


def test_storage_does_not_take_it(bench: Bench, files: FileServer) -> None:
    """A file that came is not fetched twice because it could not be put away."""
    job = succeeded(bench, files.url + "/a")
    bench.wiring.storage.folder.parent.mkdir(parents=True, exist_ok=True)
    bench.wiring.storage.folder.touch()
    archive(bench)
    assert "cannot write" in video_of(bench, job).note
    bench.wiring.storage.folder.unlink()
    archive(bench)

    assert (VideoState.STORED, 1) == (video_of(bench, job).state, len(files.paths))


@pytest.mark.parametrize(("hops", "state"), [(3, VideoState.STORED), (4, VideoState.PENDING)])
def test_redirects(bench: Bench, files: FileServer, hops: int, state: VideoState) -> None:
    """Three redirects are followed, no fourth, and without any credentials of ours."""
    on = [says(302, Location=f"/{number}") for number in range(hops)]
    files.turns = [*on, WHOLE]
    job = succeeded(bench, files.url + "/start")
    bench.drain("archive")

    assert (state, 4) == (video_of(bench, job).state, len(files.paths))
    assert not {"authorization", "x-api-key"} & {name for asked in files.asked for name in asked}


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "http://[::ffff:10.0.0.1]/x", "http://10.1.1.1/x"]
)
@pytest.mark.parametrize("by", ["result", "redirect"])
def test_inner_network(bench: Bench, files: FileServer, url: str, by: str) -> None:
    """No result, and no redirect of one, makes us look into the inner network."""
    files.turns = [says(302, Location=url)]
    job = succeeded(bench, url if by == "result" else files.url + "/a")
    bench.drain("archive")

    assert "not public" in video_of(bench, job).note


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


def archive_with(bench: Bench, provider: Renewing, between: Callable[[], None]) -> None:
    """Copy with that vendor, ten rounds; `between` runs after each."""
    w = bench.wiring
    for _ in range(10):
        archive_video(w.db, {"apixo": provider}, w.outbound, w.storage, w.settings, w.clock)
        between()
        bench.clock.advance(PAUSE)


def renewing(bench: Bench, files: FileServer) -> Renewing:
    """One whose new link works."""
    made = Renewing(bench.wiring.outbound, "http://127.0.0.1:9", "k", 1.0)
    made.link = files.url + "/fresh"
    return made


@pytest.mark.parametrize("before", [[], [503], [503, 500, 503]])
def test_link_that_ended(bench: Bench, files: FileServer, before: list[int]) -> None:
    """Whenever a link turns out to have ended, a fresh one is asked for and used."""
    files.turns = [*[says(status) for status in (*before, 403)], WHOLE]
    job = succeeded(bench, files.url + "/old")
    archive_with(bench, renewing(bench, files), lambda: None)

    assert (VideoState.STORED, "/fresh") == (video_of(bench, job).state, files.paths[-1])


def test_vendor_is_away_when_the_link_ended(bench: Bench, files: FileServer) -> None:
    """A vendor that cannot be asked for a fresh link just now is asked again later."""
    files.turns = [says(403), says(403), WHOLE]
    job = succeeded(bench, files.url + "/old")
    vendor = renewing(bench, files)
    vendor.trouble = Unanswered("PROVIDER_UNAVAILABLE", "away")

    def back() -> None:
        vendor.trouble = None

    archive_with(bench, vendor, back)

    assert VideoState.STORED is video_of(bench, job).state


def test_worker_killed_while_copying(bench: Bench, files: FileServer) -> None:
    """A copy whose worker died is made again by the next."""
    files.turns = [says(403), WHOLE]
    job = succeeded(bench, files.url + "/a")

    class Struck(Renewing):
        def fetch(self, job: Job) -> Outcome:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive_with(bench, Struck(bench.wiring.outbound, "", "k", 1.0), lambda: None)
    assert not bench.unit("archive")
    bench.clock.advance(LEASE_SECONDS)
    archive(bench)

    assert VideoState.STORED is video_of(bench, job).state


def subscribed(bench: Bench, hook: Hook) -> None:
    """The hook hears of the account's jobs."""
    with bench.db.write() as tx:
        spec = SubscriptionSpec("webhook", hook.url)
        subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())


def test_delivered_before_the_copy(bench: Bench, files: FileServer) -> None:
    """The link is told once, after a wait at most, and stays the same when the copy comes."""
    with Hook() as hook:
        subscribed(bench, hook)
        job = succeeded(bench, files.url + "/a")
        bench.drain("deliver")
        assert [] == hook.hits
        bench.clock.advance(30)
        bench.drain("deliver")
        archive(bench)
        bench.drain("deliver")
        told = hook.hits[0].json()["data"]["video"]["url"]

    video = video_of(bench, job)
    assert [told] == [bench.wiring.links.url_for(video.link_expires_at, video=video.id)]
    assert 1 == len(hook.hits)


def test_copy_hurries_the_delivery(bench: Bench, files: FileServer) -> None:
    """Once the copy is there nobody waits any longer."""
    with Hook() as hook:
        subscribed(bench, hook)
        job = succeeded(bench, files.url + "/a")
        bench.drain("archive", "deliver")
        told = hook.hits[0].json()

    assert (EventType.JOB_SUCCEEDED, job.id) == (told["type"], told["data"]["id"])
    assert (len(FILM), iso(bench.clock())) == (told["data"]["video"]["bytes"], told["timestamp"])


def warned(bench: Bench, job: Job) -> list[EventType]:
    """The events besides the end of the job."""
    return [kind for kind in events(bench, job) if kind is not EventType.JOB_SUCCEEDED]


def test_warning_before_the_link_ends(bench: Bench, files: FileServer) -> None:
    """Six hours before the provider's link ends, who wants it hears once that there is no copy."""
    files.turns = [says(503)]
    with Hook() as hook:
        spec = SubscriptionSpec("webhook", hook.url, events=(EventType.VIDEO_EXPIRING,))
        with bench.db.write() as tx:
            subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())
        job = succeeded(bench, files.url + "/a")
        ends = video_of(bench, job).provider_expires_at
        assert ends is not None
        told_at = None
        while due_at := video_of(bench, job).due_at:
            bench.clock.now = max(due_at, bench.clock.now)
            bench.drain("archive", "deliver")
            told_at = told_at or (bench.clock.now if hook.hits else None)

    assert told_at is not None
    assert 5.5 * 3600 < (ends - told_at).total_seconds() <= 6 * 3600
    assert [EventType.VIDEO_EXPIRING] == [hit.json()["type"] for hit in hook.hits]
    assert iso(ends) == hook.hits[0].json()["data"]["video"]["provider_expires_at"]
    assert [EventType.VIDEO_EXPIRING] == warned(bench, job)


def test_no_warning_with_a_copy(bench: Bench, files: FileServer) -> None:
    """Whose copy is there, however late, hears nothing of links that end."""
    files.turns = [*[says(503)] * 30, WHOLE]
    job = succeeded(bench, files.url + "/a")
    until_lost(bench, job)

    assert VideoState.STORED is video_of(bench, job).state
    assert [] == warned(bench, job)


def test_nobody_was_at_work(bench: Bench, files: FileServer) -> None:
    """After days without a worker there is one try still, and the warning comes late but comes."""
    job, other = succeeded(bench, files.url + "/a"), succeeded(bench, files.url + "/b")
    files.turns = [WHOLE, says(503)]
    bench.clock.advance(3 * DAY)
    archive(bench)
    states = {video_of(bench, one).state for one in (job, other)}
    told = warned(bench, job) + warned(bench, other)

    assert {VideoState.STORED, VideoState.LOST} == states
    assert [EventType.VIDEO_EXPIRING] == told


def test_lost_copy_hurries_the_delivery(bench: Bench, files: FileServer) -> None:
    """Where no copy can come nobody waits for it, and the link leads to the provider."""
    files.turns = [Turn(replace(original(FILM), size=1_000_001))]
    with Hook() as hook:
        subscribed(bench, hook)
        succeeded(bench, files.url + "/a")
        bench.drain("archive", "deliver")
        told = hook.hits[0].json()["data"]["video"]

    assert (files.url + "/a", None) == (told["provider_url"], told["bytes"])
    assert told["url"]

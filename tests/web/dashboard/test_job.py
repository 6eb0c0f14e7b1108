"""One job's page: all that is shown of it, all that can be done there, without a browser."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from support.dashboards import (
    EVIL,
    browser_of,
    called_back,
    deliveries,
    fail,
    fetched,
    lost,
    press,
    subscribed,
    succeed,
)
from support.harness import Harness
from support.servers import Hook

from service import store
from service.formatting import format_date, mask_target
from service.jobs.outcomes import record_outcome
from service.model import CallbackState, JobState, Outcome, TaskState
from web.test_session import HERE

TASK_ID = "Must be the task's id at the vendor: one word, at most 200 letters"


def alert(text: str) -> str:
    """What the page says first of what went wrong."""
    return html.unescape(re.findall(r'role="alert"[^>]*>.*?<strong>([^<]+)<', text, re.DOTALL)[0])


def test_succeeded_job(client: FlaskClient, harness: Harness) -> None:
    """The page of a job has its player, facts, price, link and story."""
    job = succeed(harness, harness.new_job("A heron", metadata={"order": 7}))
    shown = client.get(f"/jobs/{job.id}").text
    source = re.findall(r'<video [^>]*src="([^"]+)" poster="([^"]+)"', shown)[0]

    assert "controls" in shown and "playsinline" in shown and 'preload="metadata"' in shown
    assert ["video/mp4", "image/jpeg"] == [fetched(client, path).mimetype for path in source]
    assert f'value="http://127.0.0.1:9{source[0]}"' in shown
    for text in ("$0.42", "160 × 90", "Metadata: order", "the provider called back", job.id):
        assert text in shown
    assert "hx-trigger" not in shown


def test_link_is_renewed(harness: Harness) -> None:
    """Whoever looks at a job whose link has expired gets one that works, with its time."""
    job = succeed(harness, harness.new_job())
    harness.clock.advance(harness.wiring.settings.link_ttl + 1)
    client = browser_of(harness, harness.account.id)
    shown = client.get(f"/jobs/{job.id}").text
    source = re.findall(r'<video [^>]*src="([^"]+)"', shown)[0]

    assert 200 == fetched(client, source).status_code
    until = harness.clock.now + timedelta(seconds=harness.wiring.settings.link_ttl)
    assert f"It works until {format_date(until)}" in shown


def test_no_player_before_the_copy(client: FlaskClient, harness: Harness) -> None:
    """Before our copy is here the page plays nothing and goes on looking."""
    job = harness.new_job()
    outcome = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/video.mp4")
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "callback", harness.clock())
    shown = client.get(f"/jobs/{job.id}").text

    assert "<video" not in shown
    assert "Clipbell is copying it" in shown and "hx-trigger" in shown


def test_failed_job(client: FlaskClient, harness: Harness) -> None:
    """A failure is reported with what to do about it and the vendor's own word."""
    job = fail(harness, harness.new_job(), "it did not work")
    shown = client.get(f"/jobs/{job.id}").text

    assert "It did not work." in shown
    assert "Send a new job, perhaps with other parameters." in shown
    assert "PROVIDER_ERROR · E42" in shown


def test_deliveries(client: FlaskClient, harness: Harness) -> None:
    """A delivery stands there once, with its last attempt; it can be sent once more."""
    with Hook([500, 200]) as hook:
        subscribed(harness, hook.url)
        job = fail(harness, harness.new_job(), "no")
        harness.drain("deliver")
        harness.clock.advance(10)
        harness.drain("deliver")
        shown = client.get(f"/jobs/{job.id}").text
        delivery = deliveries(harness, job)[0]
        answer = press(client, f"/jobs/{job.id}", f"/deliveries/{delivery.id}/resend")
        harness.drain("deliver")

    assert ["200"] == re.findall(r'class="(?:good|bad)">(\d+)<', shown)
    assert "<span>2 attempts</span>" in shown and "Notifications: 1 delivered in " in shown
    assert 1 == shown.count(mask_target(hook.url)) - shown.count(f"to {mask_target(hook.url)}")
    assert mask_target(hook.url) in shown and hook.url not in shown
    assert (303, f"/jobs/{job.id}#news") == (answer.status_code, answer.location)
    assert 3 == len(hook.hits)


def test_cancel_and_mute(client: FlaskClient, harness: Harness) -> None:
    """A waiting job can be taken back, any unfinished one muted, none without its form."""
    first, second = harness.new_job(), harness.new_job()
    page = f"/jobs/{first.id}"
    refused = client.post(f"{page}/cancel", headers=HERE)
    canceled = press(client, page, f"{page}/cancel")
    muted = press(client, page, f"/jobs/{second.id}/mute")

    assert [403, 303, 303] == [a.status_code for a in (refused, canceled, muted)]
    assert JobState.CANCELED == harness.job(first).state
    assert harness.job(second).muted
    assert 409 == press(client, page, f"{page}/cancel").status_code


def test_live_parts(client: FlaskClient, harness: Harness) -> None:
    """The live parts answer 304 until something has happened, and end with the job."""
    job = harness.new_job()
    url = f"/jobs/{job.id}?live"
    first = client.get(url)
    same = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    fail(harness, job, "no")
    changed = client.get(url, headers={"If-None-Match": first.headers["ETag"]})

    assert [200, 304, 200] == [a.status_code for a in (first, same, changed)]
    assert "<html" not in first.text and "hx-trigger" in first.text
    assert "hx-trigger" not in changed.text


def test_course_of_a_job(client: FlaskClient, harness: Harness) -> None:
    """The course is a picture with its words for who cannot see it, and stands still for 304s."""
    job = harness.new_job()
    harness.clock.advance(3)
    fail(harness, job, "no")
    shown = client.get(f"/jobs/{job.id}").text
    waiting = harness.new_job()
    live = client.get(f"/jobs/{waiting.id}?live=1")
    harness.clock.advance(20)
    again = client.get(
        f"/jobs/{waiting.id}?live=1", headers={"If-None-Match": live.headers["ETag"]}
    )

    assert 'role="img" aria-label="The course of this job. Queued: 3 s; Poll: found' in shown
    assert 'class="line" x="0.0%"' in shown
    assert "style=" not in shown
    assert 'class="line open" x="0.0%"' in live.text
    assert 304 == again.status_code


def test_raw_callback(client: FlaskClient, harness: Harness) -> None:
    """Callbacks are shown as they came, but for secrets, and are text whatever they hold."""
    job = harness.new_job()
    said = json.dumps({"state": EVIL, "api_key": "geheim"}).encode()
    called_back(harness, job, said, Authorization="Bearer geheim", Note=EVIL)
    called_back(harness, job, b"\xff\x00" + EVIL.encode())
    shown = client.get(f"/jobs/{job.id}").text

    assert "geheim" not in shown and "***" in shown
    assert "\\xff\\x00" in shown and "It was of no use." in shown
    assert "<script>alert" not in shown and "<img src=x" not in shown
    assert html.escape(json.dumps(EVIL)[1:-1], quote=False).replace('"', "&#34;") in shown


def test_many_callbacks(client: FlaskClient, harness: Harness) -> None:
    """Of many callbacks the newest are shown, and where the others are."""
    job = harness.new_job()
    for number in range(7):
        harness.clock.advance(1)
        called_back(harness, job, b"number %d" % number)
    shown = client.get(f"/jobs/{job.id}").text

    assert ["6", "5", "4", "3", "2"] == re.findall("<code>number (.)</code>", shown)
    assert f"2 earlier: <code>GET /v1/callbacks?job_id={job.id}" in shown


def test_replay(client: FlaskClient, harness: Harness) -> None:
    """A stored callback is looked at once more, by its owner only."""
    job = harness.new_job()
    callback = called_back(harness, job, b"{}")
    action = f"/callbacks/{callback.id}/replay"
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)
    theirs = press(charlie, "/new", action)
    ours = press(client, f"/jobs/{job.id}", action)
    with harness.db.read() as tx:
        found = store.callbacks.find(tx, callback.id)

    assert (404, 303) == (theirs.status_code, ours.status_code)
    assert f"/callbacks/{callback.id}" == ours.location
    assert found and found.state is CallbackState.RECEIVED
    assert f"callback {callback.id}, by hand" in client.get(f"/jobs/{job.id}").text


def test_wire_request(client: FlaskClient, harness: Harness) -> None:
    """The request to the provider is shown without its keys; it is not drawn again by itself."""
    job = harness.new_job("A fox")
    page, live = client.get(f"/jobs/{job.id}").text, client.get(f"/jobs/{job.id}?live=1").text
    sent = html.unescape(re.findall("Request to apixo.*?<code>({.*?})</code>", page, re.DOTALL)[0])

    assert "A fox" == json.loads(sent)["input"]["prompt"]
    assert "http://127.0.0.1:9/callbacks/***" == json.loads(sent)["callback_url"]
    assert "POST http://127.0.0.1:9/api/v1/generateTask/kling-2-5-turbo-pro" in page
    assert '<dt>Authorization</dt><dd class="mono">***</dd>' in page
    assert "Request to apixo" not in live


@pytest.mark.parametrize(
    ("form", "state"),
    [
        ({"how": "task", "task_id": " task_9 "}, JobState.SUBMITTED),
        ({"how": "resend", "sure": "yes"}, JobState.QUEUED),
        ({"how": "fail"}, JobState.FAILED),
    ],
)
def test_resolve(
    client: FlaskClient, harness: Harness, form: dict[str, str], state: JobState
) -> None:
    """An unknown job is settled as the person says, once."""
    job = lost(harness)
    page = f"/jobs/{job.id}"
    shown = client.get(page).text
    first = press(client, page, f"{page}/resolve", **form)
    second = press(client, page, f"{page}/resolve", **form)

    assert "you pay for both" in shown and "Its callback may still come" in shown
    assert (303, 409) == (first.status_code, second.status_code)
    assert state == harness.job(job).state
    assert form.get("task_id", "").strip() == (harness.job(job).task_id or "")
    assert "you pay for both" not in client.get(page).text


@pytest.mark.parametrize(
    ("form", "report"),
    [
        ({"how": "resend"}, "Confirm that it may be paid for twice, then send it again."),
        ({"how": "task", "task_id": " "}, f'{TASK_ID}; got " ".'),
        ({"how": "task", "task_id": "a\x00b"}, f'{TASK_ID}; got "a\\u0000b".'),
        ({"how": "task"}, f'{TASK_ID}; got "".'),
        ({"how": "?"}, "Must be task, resend or fail."),
    ],
)
def test_senseless_resolution(
    client: FlaskClient, harness: Harness, form: dict[str, str], report: str
) -> None:
    """What is missing is said on the job's page, and nothing has happened."""
    job = lost(harness)
    answer = press(client, f"/jobs/{job.id}", f"/jobs/{job.id}/resolve", **form)

    assert (422, report) == (answer.status_code, alert(answer.text))
    assert JobState.UNKNOWN == harness.job(job).state
    assert "How long it took" in answer.text


def test_conflict_is_shown_on_the_page(client: FlaskClient, harness: Harness) -> None:
    """What cannot be done is shown there, and the page goes on refreshing from its address."""
    taken = lost(harness)
    page = f"/jobs/{taken.id}"
    press(client, page, f"{page}/resolve", how="task", task_id="task_1")
    job = lost(harness)
    page = f"/jobs/{job.id}"
    answer = press(client, page, f"{page}/resolve", how="task", task_id="task_1")

    assert (409, "Task task_1 belongs to another job.") == (answer.status_code, alert(answer.text))
    assert f'hx-get="{page}?live=1"' in answer.text
    assert 404 == press(client, page, "/jobs/job_0/cancel").status_code


def test_resend_that_is_under_way(client: FlaskClient, harness: Harness) -> None:
    """A delivery that is being sent says so on the page of its job."""
    subscribed(harness, "http://127.0.0.1:9/")
    job = fail(harness, harness.new_job(), "no")
    delivery = deliveries(harness, job)[0]
    action = f"/deliveries/{delivery.id}/resend"
    answers = [press(client, f"/jobs/{job.id}", action) for _ in range(2)]

    assert [303, 409] == [answer.status_code for answer in answers]
    expected = "An attempt at this delivery is in progress: wait until it ends."
    assert expected == alert(answers[1].text)


def test_forget(client: FlaskClient, harness: Harness) -> None:
    """A job that has ended can be forgotten for good, after a word for it."""
    job, waiting = succeed(harness, harness.new_job("A secret fox")), harness.new_job()
    page = f"/jobs/{job.id}"
    unsure = press(client, page, f"{page}/erase")
    early = press(client, page, f"/jobs/{waiting.id}/erase", sure="yes")
    done = press(client, page, f"{page}/erase", sure="yes")
    shown = client.get(done.location).text

    assert [422, 409, 303] == [answer.status_code for answer in (unsure, early, done)]
    assert "Deleted: the video and all content of the job." in shown
    assert "A secret fox" not in shown and "The content of this job was deleted." in shown


def test_key_that_may_only_read(harness: Harness) -> None:
    """Who may not act sees no buttons, and pressing them all the same is refused."""
    job = lost(harness)
    called_back(harness, job, b"{}")
    reader = browser_of(harness, harness.account.id, "read")
    shown = reader.get(f"/jobs/{job.id}").text

    assert [] == re.findall('action="/(?:jobs|deliveries|callbacks)/', shown)
    assert 403 == press(reader, "/", f"/jobs/{job.id}/resolve", how="fail").status_code

"""The pages of callbacks, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from support.dashboards import browser_of, press
from support.harness import Harness

from service import store
from service.model import Callback, CallbackState, JobState
from web.test_session import HERE

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
BODY = b'{"data": {"token": "secret-1", "url": "/callbacks/ey.abc", "key": "test"}}'


def kept(harness: Harness, body: bytes = BODY, prompt: str = "A fox") -> Callback:
    """A callback for a job of alice's that was not sent yet."""
    job = harness.new_job(prompt)
    headers = {"Authorization": "Bearer secret-2", "User-Agent": EVIL}
    harness.wiring.ingest.insert(job.id, "apixo", headers, body, harness.clock())
    with harness.db.read() as tx:
        return store.callbacks.of_job(tx, job.id)[0]


def settled(harness: Harness, callback: Callback, state: CallbackState, note: str) -> None:
    """What became of it."""
    with harness.db.write() as tx:
        store.callbacks.settle_claimed(tx, callback, state=state, note=note, due_at=None)


def test_empty(client: FlaskClient) -> None:
    """Before any callback the page says what will stand here, and asks for nothing again."""
    shown = client.get("/callbacks").text

    assert "No callback yet" in shown
    assert "hx-trigger" not in shown


@pytest.mark.parametrize(
    ("state", "note", "words"),
    [
        ("processed", "succeeded", "Callback received: video completed"),
        ("processed", "failed", "Callback received: video failed"),
        ("processed", "the provider says running", "The provider says running."),
        ("processed", "", "Processed."),
        ("ignored", "task 7 is unknown", "Task 7 is unknown."),
    ],
)
def test_outcome(client: FlaskClient, harness: Harness, state: str, note: str, words: str) -> None:
    """What became of a callback stands there as a sentence."""
    found = kept(harness)
    settled(harness, found, CallbackState(state), note)

    assert f'class="outcome">{words}<' in client.get("/callbacks").text
    assert f"{words}</h1>" in client.get(f"/callbacks/{found.id}").text


def test_list(client: FlaskClient, harness: Harness) -> None:
    """The newest stands first, with its job and its repeats; states can be seen alone."""
    first = kept(harness, prompt="An old heron")
    harness.wiring.ingest.insert(first.job_id, "apixo", {}, BODY, harness.clock())
    settled(harness, first, CallbackState.PROCESSED, "succeeded")
    harness.clock.advance(60)
    kept(harness, prompt="A new fox")
    shown = client.get("/callbacks").text

    assert shown.index("A new fox") < shown.index("An old heron")
    assert "received 1 more time<" in shown and "hx-trigger" in shown
    assert "A new fox" not in client.get("/callbacks?state=processed").text
    assert "hx-trigger" not in client.get("/callbacks?state=processed").text
    assert 200 == client.get("/callbacks?state=nonsense&before=nonsense").status_code


def test_next_page(client: FlaskClient, harness: Harness) -> None:
    """Older callbacks are a link away, none twice and none left out."""
    made = [kept(harness, b"%d" % number).id for number in range(27)]
    first = client.get("/callbacks").text
    older = re.findall(r'rel="next" href="([^"]+)"', first)[0]
    pages = [re.findall(r'<li id="(cbk_\w+)"', t) for t in (first, client.get(older).text)]

    assert [25, 2] == [len(found) for found in pages]
    assert sorted(made) == sorted(pages[0] + pages[1])


def test_raw(client: FlaskClient, harness: Harness) -> None:
    """Headers and body are laid out, without what could be used, and never as markup."""
    found = kept(harness)
    shown = client.get(f"/callbacks/{found.id}").text

    assert "&#34;data&#34;: {\n    &#34;token&#34;" in shown
    assert "/callbacks/***" in shown and "&lt;script&gt;" in shown
    for secret in ("secret-1", "secret-2", "ey.abc", "<script>alert", "<img src=x"):
        assert secret not in shown


def test_empty_body(client: FlaskClient, harness: Harness) -> None:
    """A callback that said nothing says so."""
    assert "It has no body." in client.get(f"/callbacks/{kept(harness, b'').id}").text


def test_replay(client: FlaskClient, harness: Harness) -> None:
    """A replayed callback is looked at again, and its page shows what came of it."""
    found = kept(harness)
    harness.drain("process")
    answer = press(client, "/callbacks", f"/callbacks/{found.id}/replay")
    waiting = client.get(answer.location).text
    harness.drain("process")
    seen = client.get(answer.location).text
    harness.wiring.ingest.close()
    with harness.db.read() as tx:
        refused = store.callbacks.count_rejections(tx)

    assert {} == refused
    assert (303, f"/callbacks/{found.id}") == (answer.status_code, answer.location)
    assert "Stored; the worker processes it next." in waiting and "hx-trigger" in waiting
    assert "The job is queued: it has no task." in seen and "hx-trigger" not in seen


def test_postponed(client: FlaskClient, harness: Harness) -> None:
    """One that could not be confirmed yet says when it is looked at again."""
    found = kept(harness)
    with harness.db.write() as tx:
        store.callbacks.postpone(tx, found, harness.clock() + timedelta(seconds=5))

    assert "processed again at 12:00:05 UTC" in client.get("/callbacks").text


def test_replay_only_by_form(client: FlaskClient, harness: Harness) -> None:
    """Nothing is replayed without the page's own form, nor by a key that only reads."""
    found = kept(harness)
    harness.drain("process")
    reader = browser_of(harness, harness.account.id, "read")
    refused = [
        client.post(f"/callbacks/{found.id}/replay", headers=HERE),
        press(reader, "/callbacks", f"/callbacks/{found.id}/replay"),
    ]

    assert [403, 403] == [answer.status_code for answer in refused]
    assert "Replay" not in reader.get("/callbacks").text
    assert "ignored" in reader.get("/callbacks").text


def test_charlie_sees_nothing(client: FlaskClient, harness: Harness) -> None:
    """Another account's callbacks do not exist for charlie."""
    found = kept(harness, prompt="A secret fox")
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)

    assert "A secret fox" not in charlie.get("/callbacks").text
    assert 404 == charlie.get(f"/callbacks/{found.id}").status_code
    assert 404 == press(charlie, "/", f"/callbacks/{found.id}/replay").status_code
    assert "A secret fox" in client.get("/callbacks").text


def test_receiver_is_untouched(client: FlaskClient, harness: Harness) -> None:
    """Beside the pages, callback URLs go on taking what providers send, and their looks."""
    job = harness.new_job()
    url = harness.wiring.signer.url_for(
        harness.clock() + timedelta(days=1), job=job.id, provider="apixo"
    )
    path = url.removeprefix(harness.wiring.settings.public_url)

    assert 200 == client.post(path, data=b"{}").status_code
    assert 200 == client.get(path).status_code
    assert 401 == client.post("/callbacks/rejected", data=b"{}").status_code
    assert 401 == client.post(f"/callbacks/cbk_{'0' * 32}", data=b"{}").status_code
    assert JobState.QUEUED is harness.job(job).state

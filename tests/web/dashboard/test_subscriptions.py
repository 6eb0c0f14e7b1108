"""The pages of subscriptions, without a browser, against real hooks."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from support.dashboards import browser_of, called_back_in_time, fail, press, subscribed, texts
from support.harness import Harness
from support.servers import Hit, Hook

from service import store
from service.accounts import create_key
from service.deliveries.custom_headers import decrypt_headers
from service.model import Subscription, new_id
from service.web.app import create_app
from service.web.session import login_url
from web.test_session import HERE, form_token

EVIL = "<script>alert(1)</script>"


def all_of(harness: Harness) -> list[Subscription]:
    """alice's subscriptions, oldest first."""
    with harness.db.read() as tx:
        return store.subscriptions.all_of(tx, harness.account.id)


def path_of(harness: Harness) -> str:
    """The page of alice's newest subscription."""
    return f"/subscriptions/{all_of(harness)[-1].id}"


def change(harness: Harness, **changes: Any) -> None:
    """Write columns of alice's newest subscription."""
    with harness.db.write() as tx:
        store.subscriptions.change(tx, all_of(harness)[-1].id, **changes)


def added(client: FlaskClient, target: str, **more: Any) -> Any:
    """The answer to the filled-in form for a new webhook."""
    given = {"channel": "webhook", "target": target, "once": "1"} | more
    return press(client, "/subscriptions/new", "/subscriptions/new", **given)


def secret_on(shown: str) -> str:
    """The secret that a page shows."""
    found: str = re.findall(r'id="secret" readonly value="([^"]+)"', shown)[0]
    return found


def verified(hit: Hit, secret: str) -> bool:
    """Whether the POST was signed with that secret."""
    headers = {name.lower(): value for name, value in hit.headers.items()}
    moment = int(headers["webhook-timestamp"])
    expected = Webhook(secret).sign(
        headers["webhook-id"], datetime.fromtimestamp(moment, UTC), hit.body.decode()
    )
    return expected in headers["webhook-signature"].split()


def test_nobody_yet(client: FlaskClient) -> None:
    """Who has none learns how to make one."""
    shown = client.get("/subscriptions").text

    assert "No subscriptions yet" in shown and 'href="/subscriptions/new"' in shown


def test_list(client: FlaskClient, harness: Harness) -> None:
    """The list tells at a glance what arrives, and shows nothing that others could use."""
    with Hook([500, 200, 200]) as hook:
        subscribed(harness, hook.url)
        for _ in range(2):
            called_back_in_time(harness)
    harness.clock.advance(180)
    shown = client.get("/subscriptions").text

    assert "2 of the last 3 attempts arrived" in shown
    said = "2 of the last 3 arrived; last arrived 3 min ago"
    assert [said] == texts(shown, r'<p class="soft small">(.*?)</p>')
    assert ["no", "yes", "yes"] == re.findall(r'<i class="(no|yes)"', shown)
    assert 'class="state healthy"' in shown and hook.url not in shown
    assert "succeeded, failed, unknown, held" in shown


@pytest.mark.parametrize(
    ("changes", "word", "says"),
    [
        ({}, "healthy", "Ready, nothing sent yet."),
        ({"slow_until": 3600}, "slow", "its own lane until"),
        ({"failing_since": -7200}, "failing", "Failing since"),
        ({"held_until": 60}, "held", "12:01:00 UTC"),
        ({"held_until": -60}, "healthy", "Ready"),
        ({"enabled": False, "disabled_reason": EVIL}, "disabled", "because &lt;script&gt;"),
        ({"enabled": False}, "disabled", "Switched off by hand."),
    ],
)
def test_health(
    client: FlaskClient, harness: Harness, changes: dict[str, Any], word: str, says: str
) -> None:
    """How it is stands there as a dot, a word and a reason, on its page and in the list."""
    subscribed(harness, "http://127.0.0.1:9/services/T1/B2/topsecret")
    moments = {
        k: harness.clock() + timedelta(seconds=v) for k, v in changes.items() if k in MOMENTS
    }
    change(harness, **changes | moments) if changes else None
    page, listed = client.get(path_of(harness)).text, client.get("/subscriptions").text

    assert f'class="state {word}"' in page and f'class="state {word}"' in listed
    assert says in page
    for shown in (page, listed):
        assert "http://127.0.0.1:9/…cret" in shown and "topsecret" not in shown
        assert EVIL not in shown


MOMENTS = ("slow_until", "failing_since", "held_until")


def test_added(client: FlaskClient, harness: Harness) -> None:
    """A sample is sent first; then the secret is shown, this once, and signs what comes."""
    with Hook() as hook:
        given = {"test": "yes", "events": ["job.failed"], "models": ["kling-2-5-turbo-pro"]}
        made = added(client, hook.url, **given, metadata="customer=acme\nrank=7", format="flat")
        again = added(client, hook.url, **given, metadata="customer=acme\nrank=7", format="flat")
        fail(harness, harness.new_job(metadata={"customer": "acme", "rank": 7}), "no")
        fail(harness, harness.new_job(metadata={"customer": "other"}), "no")
        harness.drain("deliver")
    secret, (saved,) = secret_on(made.text), all_of(harness)
    later = client.get(path_of(harness)).text

    assert (201, 3) == (made.status_code, len(hook.hits))
    assert (303, path_of(harness)) == (again.status_code, again.location)
    assert hook.hits[0].json()["sample"]
    assert [True, True] == [verified(hit, secret) for hit in (hook.hits[0], hook.hits[2])]
    assert (["job.failed"], ["kling-2-5-turbo-pro"], "flat", {"customer": "acme", "rank": 7}) == (
        *(saved.events, saved.models, saved.format, saved.metadata),
    )
    assert "whsec_" not in later


def test_failed_test_saves_nothing(client: FlaskClient, harness: Harness) -> None:
    """What does not arrive is not saved; the page says why, and keeps what was typed."""
    with Hook([404]) as hook:
        refused = added(client, hook.url, test="yes", events=["job.failed"], metadata="a=1")
    nobody = added(client, "http://127.0.0.1:9/nobody", test="yes")

    assert [422, 422] == [refused.status_code, nobody.status_code]
    assert "The test failed, so nothing was saved" in refused.text and "404" in refused.text
    assert f'value="{hook.url}"' in refused.text and ">a=1</textarea>" in refused.text
    assert ["job.failed"] == re.findall(r'name="events" value="([^"]+)" checked', refused.text)
    assert "Connection refused" in nobody.text
    assert [] == all_of(harness)


def test_untested(client: FlaskClient, harness: Harness) -> None:
    """Without the tick it is saved as it is; what is wrong is reported at each field."""
    saved = added(client, "http://127.0.0.1:9/nobody")
    wrong = added(client, "ftp://x", events=["job.exploded"], metadata="none")
    channel = added(client, EVIL, channel="pigeon")

    assert [201, 422, 422] == [saved.status_code, wrong.status_code, channel.status_code]
    assert 1 == len(all_of(harness))
    assert "is not key=value" in wrong.text
    assert EVIL not in channel.text and "#channel" in channel.text
    faults = added(client, "ftp://x", events=["job.exploded"]).text
    assert {"#target", "#events"} == set(re.findall(r'<a href="(#\w+)">', faults))


def test_tested_by_hand(client: FlaskClient, harness: Harness) -> None:
    """A test now says how it went and counts for nothing."""
    with Hook([200, 500]) as hook:
        subscribed(harness, hook.url)
        path = path_of(harness)
        good, bad = (press(client, path, f"{path}/test").text for _ in range(2))
    listed = client.get("/subscriptions").text

    assert "The test arrived" in good and "answer 200" in good
    assert "The test failed" in bad and "500" in bad
    assert 2 == len(hook.hits) and "nothing sent yet" in listed


def test_attempts(client: FlaskClient, harness: Harness) -> None:
    """Recent attempts stand newest first, each with its answer and the way to its job."""
    with Hook([500, 200]) as hook:
        subscribed(harness, hook.url)
        called_back_in_time(harness)
    shown = client.get(path_of(harness)).text

    assert ["200", "500"] == texts(shown, r'<b class="(?:good|bad)">(.*?)</b>')
    assert 2 == shown.count('">job.failed</a>')
    assert "every 3s" not in shown


def test_what_waits(client: FlaskClient, harness: Harness) -> None:
    """As long as something waits for it the page says so, and looks again by itself."""
    with Hook([500]) as hook:
        subscribed(harness, hook.url)
        for _ in range(2):
            fail(harness, harness.new_job(), "no")
        waiting = client.get(path_of(harness)).text
        harness.drain("deliver")
    tried = texts(client.get(path_of(harness)).text, r'<section class="tries"[^>]*>(.*?)</p>')[0]

    assert "2 deliveries wait." in waiting and "every 3s" in waiting
    assert "2 deliveries wait; the next attempt is at 12:00:0" in tried


def test_switched(client: FlaskClient, harness: Harness) -> None:
    """Off, on with a clean slate, and gone for good."""
    subscribed(harness, "http://127.0.0.1:9/hook")
    path = path_of(harness)
    change(harness, failing_since=harness.clock())
    states = []
    for action in ("disable", "enable"):
        answer = press(client, path, f"{path}/{action}")
        states.append((answer.status_code, answer.location, all_of(harness)[0].enabled))
    clean = all_of(harness)[0].failing_since
    removed = press(client, path, f"{path}/remove")

    assert [(303, path, False), (303, path, True)] == states
    assert clean is None
    assert (303, "/subscriptions") == (removed.status_code, removed.location)
    assert [] == all_of(harness) and 404 == client.get(path).status_code


def test_rotated(client: FlaskClient, harness: Harness) -> None:
    """A new secret signs beside the old one until that is revoked; a form counts once."""
    with Hook() as hook:
        old = secret_on(added(client, hook.url).text)
        path = path_of(harness)
        new = secret_on(press(client, path, f"{path}/rotate", once="1").text)
        again = press(client, path, f"{path}/rotate", once="1")
        press(client, path, f"{path}/test")
        kept = secret_on(press(client, path, f"{path}/rotate", once="2", revoke="yes").text)
        press(client, path, f"{path}/test")
    found = [[verified(hit, secret) for secret in (old, new)] for hit in hook.hits]

    assert old != new and kept == new
    assert (303, path) == (again.status_code, again.location)
    assert [[True, True], [False, True]] == found
    assert "whsec_" not in client.get(path).text


def test_recovered(client: FlaskClient, harness: Harness) -> None:
    """What it missed is sent, as far back as was chosen or typed, and counted."""
    for _ in range(2):
        fail(harness, harness.new_job(), "no")
        harness.clock.advance(3600)
    with Hook() as hook:
        subscribed(harness, hook.url)
        path = path_of(harness)
        action, all_ = f"{path}/recover", {"missing": "yes"}
        failed = press(client, path, action, since="7d").text
        counted = press(client, path, action, since="1h", count="yes", **all_).text
        hour = press(client, path, action, since="1h", **all_).text
        rest = press(client, path, action, since="1h", at="2026-01-01T12:00", **all_).text
        harness.drain("deliver")
    times = ("yesterday", "0001-01-01T00:00+01:00", "9999-12-31T23:59-01:00")
    wrong = [press(client, path, f"{path}/recover", at=at) for at in times]
    change(harness, enabled=False)
    off = press(client, path, f"{path}/recover", since="6h")

    assert "0 messages are on the way" in failed and "1 message since" in counted
    assert "1 message is on the way again" in hour and "1 message is on the way again" in rest
    assert 2 == len(hook.hits)
    assert [422] * 3 == [answer.status_code for answer in wrong]
    assert "Give a time such as" in wrong[0].text
    assert 409 == off.status_code


def test_target_of_a_lost_key(client: FlaskClient, harness: Harness) -> None:
    """A target that no key of ours opens any more spoils no page, and can be removed."""
    for name in ("kept", "lost"):
        harness.clock.advance(1)
        subscribed(harness, f"https://a.example/{name}")
    job, path = fail(harness, harness.new_job(), "no"), path_of(harness)
    change(harness, target="sealed by a key that is gone")
    pages = ("/subscriptions", path, f"/jobs/{job.id}", "/numbers")
    shown = {page: client.get(page) for page in pages}
    listed = client.get("/v1/subscriptions", headers={"x-api-key": harness.key})

    assert {200} == {answer.status_code for answer in [*shown.values(), listed]}
    assert "https://a.example/…kept" in shown["/subscriptions"].text
    assert 303 == press(client, path, f"{path}/remove").status_code
    assert 1 == len(all_of(harness))


def test_charlie_sees_nothing(client: FlaskClient, harness: Harness) -> None:
    """To another account alice's subscription does not exist."""
    subscribed(harness, "http://127.0.0.1:9/hook")
    path = path_of(harness)
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)
    actions = ("test", "enable", "disable", "remove", "rotate", "recover")
    found = [press(charlie, "/", f"{path}/{one}", since="1h").status_code for one in actions]

    assert [404] * 6 == found and 404 == charlie.get(path).status_code
    assert "sub_" not in charlie.get("/subscriptions").text
    assert all_of(harness)[0].enabled


def test_scopes(harness: Harness) -> None:
    """Who may only look sees no button that does more, and can press none."""
    subscribed(harness, "http://127.0.0.1:9/hook")
    path = path_of(harness)
    with harness.db.write() as tx:
        create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
        keys = store.accounts.keys(tx, harness.account.id)
    key = next(key for key in keys if key.name == "reader")
    reader = create_app(harness.wiring).test_client()
    reader.get(login_url("", ["k" * 40], key.id, harness.clock()))
    shown = reader.get(path).text
    token = {"form_token": form_token(shown)}
    actions = ("test", "enable", "disable", "remove", "rotate", "recover")
    answers = [reader.post(f"{path}/{one}", data=token, headers=HERE) for one in actions]

    assert [403] * 6 == [answer.status_code for answer in answers]
    assert 403 == reader.get("/subscriptions/new").status_code
    assert [] == re.findall(rf'action="{path}/(\w+)"', shown)
    assert 404 == reader.get(f"/subscriptions/{new_id('sub', harness.clock())}").status_code


def test_nothing_is_taken_for_markup(client: FlaskClient, harness: Harness) -> None:
    """What users, endpoints and channels write comes out as text; a channel that waits is shown."""
    added(client, "http://127.0.0.1:9/hook?" + EVIL, metadata=f"{EVIL}={EVIL}")
    with harness.db.write() as tx:
        until = harness.clock() + timedelta(hours=1)
        store.channels.pause(tx, "webhook", until, f"no way out: {EVIL}")
    shown = client.get(path_of(harness)).text
    again = added(client, EVIL, metadata=EVIL).text

    assert "All webhook waits" in shown and "13:00:00 UTC" in shown
    assert "&lt;script&gt;" in shown and "&lt;script&gt;" in again
    assert EVIL not in shown + again + client.get("/subscriptions").text


def test_edit(client: FlaskClient, harness: Harness) -> None:
    """The form shows what is stored, keeps hidden headers, and changes all but the channel."""
    more = {"name": "Orders", "headers": "X-Key: sesame\nX-Other: b", "events": "job.failed"}
    added(client, "http://127.0.0.1:9/first", **more)
    path = path_of(harness)
    form = client.get(f"{path}/edit").text
    given = {"name": "Clips", "target": "http://127.0.0.1:9/second", "events": "job.held"}
    given |= {"headers": "X-Key: ***", "metadata": "paid=true", "format": "flat"}
    answer = press(client, f"{path}/edit", f"{path}/edit", **given)
    (found,) = all_of(harness)
    encryptor = harness.wiring.encryptor

    assert "X-Key: ***" in form and "sesame" not in form and 'value="Orders"' in form
    assert (303, path) == (answer.status_code, answer.location)
    assert ("Clips", "flat", ["job.held"]) == (found.name, found.format, found.events)
    assert "http://127.0.0.1:9/second" == encryptor.decrypt(found.target)
    assert {"X-Key": "sesame"} == decrypt_headers(encryptor, found.headers)
    assert {"paid": True} == found.metadata
    assert "Clips" in client.get("/subscriptions").text
    assert "paid=true" in client.get(f"{path}/edit").text


TEXTS = ["5", "true", " x ", "a\nb", "", "NaN", "[" * 5000, '"', "a=b", "é", "{}"]


def test_metadata_stays(client: FlaskClient, harness: Harness) -> None:
    """An edit that changes something else leaves each value of the metadata what it was."""
    before = {f"key {n}": value for n, value in enumerate([*TEXTS, 5, 0.5, True])}
    subscribed(harness, "http://127.0.0.1:9/first", metadata=before)
    path = f"{path_of(harness)}/edit"
    (field,) = re.findall(r'id="metadata"[^>]*>(.*?)</', client.get(path).text, re.DOTALL)
    press(client, path, path, target="http://127.0.0.1:9/", metadata=html.unescape(field))

    assert before == all_of(harness)[0].metadata


@pytest.mark.parametrize(
    ("headers", "report"),
    [
        ("X: 1\nHost: x", "Host is set by Clipbell itself."),
        ("X-A: 1\nX-A: 2", "X-A is given twice."),
        ("X Y: 1", "X Y must be a header's name, such as X-Api-Key."),
    ],
)
def test_wrong_header(client: FlaskClient, harness: Harness, headers: str, report: str) -> None:
    """What is wrong with one of several headers names it; none gives way to another."""
    subscribed(harness, "http://127.0.0.1:9/first")
    path = f"{path_of(harness)}/edit"
    answer = press(client, path, path, target="http://127.0.0.1:9/", headers=headers)

    assert 422 == answer.status_code
    assert [report] == [
        html.unescape(text) for text in re.findall(r'id="headers-error-1">(.*?)<', answer.text)
    ]


def test_wrong_edit(client: FlaskClient, harness: Harness) -> None:
    """What is wrong is said at its field, and nothing changes."""
    subscribed(harness, "http://127.0.0.1:9/first")
    path = f"{path_of(harness)}/edit"
    given = {"target": "ftp://x", "headers": "Host: x", "events": "job.failed"}
    answer = press(client, path, path, **given)
    broken = press(client, path, path, target="http://127.0.0.1:9/", headers="no colon")

    assert (422, 422) == (answer.status_code, broken.status_code)
    assert 'id="target-error-1"' in answer.text and 'id="headers-error-1"' in answer.text
    assert "http://127.0.0.1:9/first" in client.get(path).text

"""The demo's sinks: they check as the real ones would, answer so, and show what came."""

from __future__ import annotations

import http.client
import json
import smtplib
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest
from support.channel_targets import (
    JOB_ID,
    LINK,
    SECRET,
    delivery_request,
    error,
    jpeg,
    notification,
)

from service.channels.email import Email
from service.channels.slack import Slack
from service.channels.slack_bot import SlackBot
from service.channels.webhook import Webhook
from service.errors import DeliveryError
from service.messages.slack import card
from service.model import EventType, utc_now
from service.outbound.client import Outbound, Response
from service.sandbox.sinks.pages import SinkServer
from service.sandbox.sinks.slack import BOT_TOKEN, BOT_WORDS, WEBHOOK_STATUS

SENDER = "Clipbell <clips@example.com>"
MAIL_TARGET = "you@example.com"


@pytest.fixture
def sinks() -> Iterator[SinkServer]:
    """All three, knowing the secret."""
    with SinkServer() as server:
        server.hook_secrets.append(SECRET)
        yield server


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


def get(url: str) -> tuple[int, dict[str, str], bytes]:
    """One page."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def post(outbound: Outbound, url: str, body: bytes, **headers: str) -> Response:
    """One POST of JSON."""
    given = {"Content-Type": "application/json", **headers}
    return outbound.call("POST", url, headers=given, body=body, seconds=10)


def send_all(sinks: SinkServer, outbound: Outbound) -> None:
    """One good message by each channel."""
    asked = notification(poster=jpeg())
    slack, webhook = Slack(outbound), Webhook(outbound)
    slack.send(delivery_request(sinks.slack_url, slack.render(asked, "card")))
    with closing(Email(sinks.smtp_url, SENDER)) as email:
        email.send(delivery_request(MAIL_TARGET, email.render(asked, "email")))
    webhook.send(delivery_request(sinks.hook_url, webhook.render(asked, "standard"), utc_now()))


def test_everything_good_is_reported(sinks: SinkServer, outbound: Outbound) -> None:
    """What our channels send passes all checks, with its subject and its job."""
    send_all(sinks, outbound)

    expected = [(kind, True, "", JOB_ID) for kind in ("slack", "mail", "hook")]
    found = [(r.kind, r.ok, "; ".join(r.problems), r.job_id) for r in sinks.received()]
    assert expected == found
    assert "Video ready: A red fox runs through fresh snow" == sinks.received()[1].subject


def test_page_shows_all_three(sinks: SinkServer, outbound: Outbound) -> None:
    """A person sees the card, the mail and the verified call."""
    send_all(sinks, outbound)
    status, headers, body = get(sinks.url + "/")
    page = body.decode()

    assert 200 == status
    for expected in (
        "signature verified",
        "/mails/2.html",
        f'href="{LINK}"',
        "<h3>Video ready</h3>",
    ):
        assert expected in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_mail_is_shown_as_sent_but_may_do_nothing(sinks: SinkServer, outbound: Outbound) -> None:
    """The HTML with its own picture, in a frame without scripts."""
    send_all(sinks, outbound)
    status, headers, body = get(f"{sinks.url}/mails/2.html")
    address = body.decode().partition('<img src="')[2].partition('"')[0]
    picture = get(sinks.url + address)

    assert 200 == status
    assert b"cid:" not in body
    assert (200, "image/jpeg") == (picture[0], picture[1]["Content-Type"])
    assert picture[2].startswith(b"\xff\xd8")
    assert "script-src" not in headers["Content-Security-Policy"]
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/mails/1.html", "/mails/2.html", "/mails/2/nothing", "/nowhere"])
def test_what_is_not_there_is_404(path: str, sinks: SinkServer, outbound: Outbound) -> None:
    """Neither another kind's message nor an unknown picture is served."""
    slack = Slack(outbound)
    slack.send(delivery_request(sinks.slack_url, slack.render(notification(), "card")))

    assert 404 == get(sinks.url + path)[0]


def test_page_does_not_trust_what_arrives(sinks: SinkServer, outbound: Outbound) -> None:
    """Markup in any field of any message is shown as letters."""
    evil = "<script>alert(1)</script>"
    trouble = error("PROVIDER_ERROR", evil)
    asked = notification(EventType.JOB_FAILED, prompt=evil, error=trouble)
    slack = Slack(outbound)
    slack.send(delivery_request(sinks.slack_url, slack.render(asked, "card")))
    with closing(Email(sinks.smtp_url, SENDER)) as email:
        email.send(delivery_request(MAIL_TARGET, email.render(asked, "email")))
    post(outbound, sinks.hook_url, json.dumps({"type": evil}).encode(), **{"webhook-id": evil})

    for path in ("/", "/mails/2.html"):
        assert evil.encode() not in get(sinks.url + path)[2]


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b'"x"', b'{"text": "x", "blocks": [7]}'])
def test_strange_payloads_are_refused_and_shown(
    body: bytes, sinks: SinkServer, outbound: Outbound
) -> None:
    """Nothing that arrives can break the page."""
    slack, hook = (post(outbound, url, body) for url in (sinks.slack_url, sinks.hook_url))

    assert (400, 401) == (slack.status, hook.status)
    assert [False, False] == [received.ok for received in sinks.received()]
    assert 200 == get(sinks.url + "/")[0]


def test_slack_refuses_what_it_cannot_show(sinks: SinkServer, outbound: Outbound) -> None:
    """A card with an image out of reach comes down the ladder, and both rungs are kept."""
    made = card(notification())
    made["blocks"][2]["image_url"] = "https://10.0.0.1/poster.jpg"
    Slack(outbound).send(delivery_request(sinks.slack_url, json.dumps(made).encode()))
    first, second = sinks.received()

    assert (False, True) == (first.ok, second.ok)
    assert "downloading image failed" in first.problems[0]


def test_other_slack_urls_are_unknown(sinks: SinkServer, outbound: Outbound) -> None:
    """As at Slack, a webhook that was removed is no_service."""
    slack = Slack(outbound)
    with pytest.raises(DeliveryError, match="new incoming webhook"):
        slack.send(
            delivery_request(
                f"{sinks.url}/services/T000/B000/old", slack.render(notification(), "card")
            )
        )

    assert [] == sinks.received()


@pytest.mark.parametrize("secret", ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", None])
def test_wrong_signature_is_401(secret: str | None, outbound: Outbound) -> None:
    """A POST that none of the known secrets explains is refused and kept as such."""
    webhook = Webhook(outbound)
    with SinkServer(smtp=False) as sinks:
        sinks.hook_secrets.extend([secret] if secret else [])
        with pytest.raises(DeliveryError) as caught:
            webhook.send(
                delivery_request(sinks.hook_url, webhook.render(notification(), "flat"), utc_now())
            )
        (received,) = sinks.received()

    assert 401 == caught.value.status
    assert not received.ok
    assert JOB_ID == received.job_id


@pytest.mark.parametrize("word", sorted(WEBHOOK_STATUS))
def test_slack_answers_as_scripted(word: str, sinks: SinkServer, outbound: Outbound) -> None:
    """Each of the webhook's words comes with its status, once; then all is as before."""
    body = json.dumps(card(notification())).encode()
    sinks.script("slack", word)
    report, after = (post(outbound, sinks.slack_url, body) for _ in range(2))

    assert (WEBHOOK_STATUS[word], word.encode()) == (report.status, report.body)
    assert ("30" if word == "rate_limited" else None) == report.headers.get("Retry-After")
    assert (200, b"ok") == (after.status, after.body)
    assert [word == "ok", True] == [received.ok for received in sinks.received()]


@pytest.mark.parametrize("word", sorted(BOT_WORDS - {"ok"}))
def test_the_api_answers_as_scripted(word: str, sinks: SinkServer, outbound: Outbound) -> None:
    """Each of the Web API's words stands in JSON, with the status that Slack gives it."""
    body = json.dumps(card(notification()) | {"channel": "C0123ABCD"}).encode()
    login = {"Authorization": f"Bearer {BOT_TOKEN}"}
    sinks.script("bot", word)
    url = f"{sinks.slack_api_url}chat.postMessage"
    report, after = (post(outbound, url, body, **login) for _ in range(2))

    status = {"ratelimited": 429, "service_unavailable": 503}.get(word, 200)
    assert (status, False, word) == (report.status, *_ok_and_error(report))
    assert (200, True, None) == (after.status, *_ok_and_error(after))


def _ok_and_error(answer: Response) -> tuple[bool, str | None]:
    found = json.loads(answer.body)
    return found["ok"], found.get("error")


def test_hook_answers_as_scripted(sinks: SinkServer, outbound: Outbound) -> None:
    """A status of one's choice for a call whose signature is right; 401 for any other."""
    webhook = Webhook(outbound)
    sinks.script("hook", "503")
    unsigned = post(outbound, sinks.hook_url, b"{}")
    with pytest.raises(DeliveryError) as caught:
        webhook.send(
            delivery_request(sinks.hook_url, webhook.render(notification(), "flat"), utc_now())
        )

    assert (401, 503) == (unsigned.status, caught.value.status)


def test_script_by_http(sinks: SinkServer, outbound: Outbound) -> None:
    """Whoever plays with the demo can let a sink fail by one call."""
    script = json.dumps({"slack": ["no_service"], "mail": ["RCPT 550 no"]}).encode()
    taken = post(outbound, f"{sinks.url}/script", script)
    answer = post(outbound, sinks.slack_url, json.dumps(card(notification())).encode())

    assert (204, 404) == (taken.status, answer.status)


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b'{"slack": ["no_such_word"]}', "no_service"),
        (b'{"bot": ["no_such_word"]}', "token_revoked"),
        (b'{"mail": ["451 later"]}', "DATA drop"),
        (b'{"hook": ["ok"]}', "410"),
        (b'{"fax": ["ok"]}', "slack, bot, mail, hook"),
        (b'{"slack": 7}', "no_service"),
        (b"[]", "no_service"),
        (b"{", "no_service"),
    ],
)
def test_bad_scripts_are_refused(
    body: bytes, fix: str, sinks: SinkServer, outbound: Outbound
) -> None:
    """An answer that a sink does not know is reported at once, with those that it does."""
    answer = post(outbound, f"{sinks.url}/script", body)

    assert 400 == answer.status
    assert fix in answer.body.decode()


def test_a_slow_answer_ends_with_the_sinks(outbound: Outbound) -> None:
    """Made slow, a sink says nothing for as long as the caller waits, and can be closed."""
    with SinkServer(smtp=False) as sinks:
        sinks.script("slack", "slow")
        with pytest.raises(DeliveryError, match="no complete answer"):
            Slack(outbound, 0.3).send(
                delivery_request(sinks.slack_url, json.dumps(card(notification())).encode())
            )
        assert 1 == len(sinks.received())


def test_page_shows_the_bots_card_as_it_is_now(sinks: SinkServer, outbound: Outbound) -> None:
    """An update stands in its message, a reply in its thread, a refusal by itself."""
    bot = SlackBot(outbound, BOT_TOKEN, 5.0, sinks.slack_api_url)
    first = bot.send(
        delivery_request("C0123ABCD", bot.render(notification(EventType.JOB_SUBMITTED), "card"))
    )
    failed = bot.render(notification(EventType.JOB_FAILED, sequence=2), "card")
    bot.send(delivery_request("C0123ABCD", failed, reference=first.reference))
    sinks.script("bot", "is_archived")
    with suppress(DeliveryError):
        bot.send(delivery_request("C0123ABCD", failed))
    page = get(sinks.url + "/")[2].decode()

    assert (2, 0) == (page.count("<h3>Video failed</h3>"), page.count("<h3>Video on its way</h3>"))
    for expected in ("(edited)", "1 reply", "answered is_archived"):
        assert expected in page


@pytest.mark.parametrize(
    ("method", "change", "word"),
    [
        ("chat.postMessage", {"channel": ""}, "channel_not_found"),
        ("chat.update", {"ts": "1767268800.000100"}, "message_not_found"),
        ("chat.postMessage", {"text": ""}, "no_text"),
    ],
)
def test_the_api_is_strict(
    method: str, change: dict[str, str], word: str, sinks: SinkServer, outbound: Outbound
) -> None:
    """A message without a place, or to one that is not there, is refused in Slack's words."""
    body = json.dumps(card(notification()) | {"channel": "C0123ABCD"} | change).encode()
    login = {"Authorization": f"Bearer {BOT_TOKEN}"}
    answer = post(outbound, sinks.slack_api_url + method, body, **login)

    assert (False, word) == _ok_and_error(answer)


def test_poor_mail_is_reported(sinks: SinkServer) -> None:
    """A mail without its parts and headers is taken, and all that it lacks is named."""
    parts = urlsplit(sinks.smtp_url)
    with smtplib.SMTP(parts.hostname or "", parts.port or 0, "localhost", timeout=10) as session:
        session.sendmail("a@b.de", ["c@d.de"], b"Subject: Hello\r\n\r\nOnly words.\r\n")
    (received,) = sinks.received()

    assert not received.ok
    for expected in ("Message-ID", "text/html", "List-Unsubscribe-Post"):
        assert expected in "; ".join(received.problems)


def test_wait_wakes_up_when_it_is_so(sinks: SinkServer, outbound: Outbound) -> None:
    """Waiting ends with the message, and with the time when none comes."""
    sender = threading.Thread(target=send_all, args=(sinks, outbound))
    sender.start()
    came = sinks.wait(lambda received: any(r.kind == "hook" for r in received), 20)
    sender.join()

    assert came
    assert not sinks.wait(lambda received: len(received) > 3, 0.05)


def test_close_ends_every_thread() -> None:
    """After close nothing of the sinks runs, and there is no mailbox unless it is asked for."""
    before = set(threading.enumerate())
    with SinkServer(smtp=False) as sinks:
        assert "" == sinks.smtp_url
        assert 200 == get(sinks.url)[0]
    with SinkServer():
        pass

    left = {t for t in set(threading.enumerate()) - before if "sinks" in t.name}
    assert set() == left

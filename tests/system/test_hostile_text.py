"""
Hostile words of a vendor, on every surface where somebody reads them.

A vendor's message, its error code, a word for a state and the body of its callback hold what
would run in a browser, command a terminal, turn a line around, end a header or call a channel.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any

import pytest
from support.channel_targets import JOB, error, notification
from support.dashboards import browser_of, called_back
from support.harness import Harness
from support.processes import run_verb
from support.raw_servers import Server, always, answer
from support.servers import Hook

from service import store
from service.channels.apprise import Apprise
from service.cli.errors import print_error
from service.deliveries.exchanges import as_curl
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.messages.email import build_email
from service.messages.payloads import Notification
from service.messages.slack import card, fallback_messages
from service.model import EventType, Job, JobState
from service.model.error_codes import strip_unstorable
from service.ops.logs import formatter_of
from service.providers.bodies import as_id
from service.sandbox.sinks.slack_rules import check_message
from service.settings import child_environ
from service.videos.archive import file_name
from service.web.app import create_app

HOSTILE = {
    "script": '<script>alert(1)</script>"><img src=x onerror=alert(1)>',
    "template": "{{7*7}} {% raw %} ${7*7}",
    "ansi": "no \x1b[2J\x1b]0;owned\x07 \x9b31m \x08\x08ok",
    "bidi": "no \u202egnp.exe\u202c \u2066x\u2069",
    "nul": "no\x00 fox\x7f",
    "lines": "no\r\nBcc: all@example.com\r\n\r\nhello\u2028there\x85",
    "slack": "<!channel> <@U1> <https://a.example|here> *b* `c`",
    "formula": '=HYPERLINK("http://a.example";"x")',
    "surrogate": "no \ud800 fox",
    "long": "no " + "ü" * 200_000,
}
#: What would command a terminal, or turn the text around.
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Elements(HTMLParser):
    """The elements of a page, with their attributes for events."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append(tag)
        self.found += [f"{tag} {name}" for name, _ in attributes if name.startswith("on")]


@pytest.fixture(params=HOSTILE)
def text(request: pytest.FixtureRequest) -> str:
    """One of them."""
    return HOSTILE[request.param]


@pytest.fixture(params=["all", "long"])
def said(request: pytest.FixtureRequest) -> str:
    """What a vendor says: the long one, or all others in one breath."""
    if request.param == "long":
        return HOSTILE["long"]
    return " ".join(text for name, text in HOSTILE.items() if name != "long")


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


@pytest.fixture
def vendor(said: str) -> Iterator[Server]:
    """It refuses every job, in those words."""
    body = json.dumps({"code": 400, "message": said, "data": None})
    server = Server(always(answer(body.encode(), "400 Bad Request")))
    yield server
    server.close()


@pytest.fixture
def settings_given(vendor: Server) -> dict[str, Any]:
    """That vendor."""
    return {"apixo_base_url": vendor.url("").rstrip("/")}


@pytest.fixture
def refused(harness: Harness, hook: Hook, said: str) -> Job:
    """A job of which the vendor says it in a refusal, in a callback, and in a header."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", hook.url)
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    job = harness.new_job()
    harness.drain("submit")
    body = json.dumps({"code": 400, "message": said}, ensure_ascii=False)
    raw = body.encode("utf-8", "surrogatepass")[:500_000]
    called_back(harness, job, raw, **{"X-Said": said[:200].encode("ascii", "replace").decode()})
    harness.drain("deliver")
    return harness.job(job)


def test_kept(refused: Job) -> None:
    """The words are kept with the job, without what commands."""
    assert JobState.FAILED is refused.state
    assert refused.error is not None
    assert not COMMANDS.search(refused.error["message"])


def test_pages(harness: Harness, refused: Job) -> None:
    """Each page has the elements that it has with harmless words, and nothing commands."""
    client = browser_of(harness, harness.account.id)
    with harness.db.read() as tx:
        (delivery,) = store.deliveries.of_job(tx, refused.id)
        (callback,) = store.callbacks.of_job(tx, refused.id)
    paths = ["/", "/deliveries", "/callbacks", "/numbers", "/subscriptions"]
    paths += [f"/jobs/{refused.id}", f"/deliveries/{delivery.id}", f"/callbacks/{callback.id}"]
    for path in paths:
        answer_ = client.get(path)
        assert 200 == answer_.status_code, path
        found = Elements(answer_.text).found
        assert [] == [name for name in found if " on" in name], path
        assert "alert(1)" not in re.findall(r"<script[^>]*>(.*?)</script>", answer_.text, re.DOTALL)
        assert not COMMANDS.search(answer_.text), path


def test_hook(hook: Hook, refused: Job) -> None:
    """A subscriber gets one JSON document, whose bytes command nothing."""
    (hit,) = hook.hits

    assert not COMMANDS.search(hit.body.decode())
    assert refused.id == hit.json()["data"]["id"]


def test_api_and_feed(harness: Harness, refused: Job) -> None:
    """So do those who read the job, its timeline and the feed."""
    client = create_app(harness.wiring).test_client()
    harness.drain("number")
    for path in (f"/v1/jobs/{refused.id}", f"/v1/jobs/{refused.id}/timeline", "/v1/events"):
        answer_ = client.get(path, headers={"x-api-key": harness.key})
        assert 200 == answer_.status_code
        assert "application/json" == answer_.mimetype
        assert answer_.get_json()
        assert not COMMANDS.search(answer_.text)


def failed_with(text: str, prompt: str = "A fox") -> Notification:
    """News of a failure in those words, as if nothing had cleaned them before."""
    trouble = error("PROVIDER_ERROR", text) | {"code": text, "provider_code": text, "hint": text}
    return notification(EventType.JOB_FAILED, prompt=prompt, error=trouble)


def test_slack(text: str) -> None:
    """By webhook or bot, nobody is called, nothing is marked up, and nothing commands."""
    for message in fallback_messages(card(failed_with(text, text))):
        shown = json.dumps(message, ensure_ascii=False)
        assert not re.search("<[!@#]", message["text"])
        assert "mrkdwn" not in shown
        assert [] == check_message(message)
        assert not COMMANDS.search(json.loads(json.dumps(message["text"])).replace("\n", ""))


def test_mail(text: str) -> None:
    """No header is added, the subject is one line, and both bodies are harmless."""
    mail = build_email(failed_with(text, text)).as_bytes()
    parsed = message_from_bytes(mail, policy=policy.default)
    plain, html = (
        part.get_content().replace("\r\n", "\n")
        for part in parsed.walk()
        if part.get_content_maintype() == "text"
    )

    assert {"bcc", "x-said"}.isdisjoint(name.lower() for name in parsed)
    assert not COMMANDS.search(parsed["Subject"])
    assert len(parsed["Subject"]) < 200
    assert not COMMANDS.search(plain)
    assert not COMMANDS.search(html)
    assert {"script", "img"}.isdisjoint(Elements(html).found)


def test_apprise(text: str) -> None:
    """A message of Apprise's is one text, which calls nobody."""
    body = json.loads(Apprise().render(failed_with(text, text), "text"))

    assert not COMMANDS.search(body["title"])
    assert not COMMANDS.search(body["body"].replace("\n", ""))


@pytest.mark.parametrize("format_", ["json", "console"])
def test_logs(text: str, format_: str) -> None:
    """A line of the log stays one line, also where an error says it, and commands nothing."""
    try:
        raise ValueError(text)
    except ValueError as fault:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "x.py", 1, "the vendor says %s", (text,), _info(fault),
            extra={"said": text},
        )  # fmt: skip
    line = formatter_of(format_).format(record)

    assert not COMMANDS.search(line)
    assert "the vendor says" in line.splitlines()[0]
    # What follows is the traceback, which no line of a log can be taken for.
    assert all(part.startswith("  ") for part in line.splitlines()[1:])


def _info(error: ValueError) -> Any:
    return (type(error), error, error.__traceback__)


def test_terminal(harness: Harness, refused: Job) -> None:
    """Whatever a verb prints commands no terminal, and its JSON is JSON."""
    settings = harness.wiring.settings
    given = {name: getattr(settings, name) for name in ("data_dir", "database_url", "public_url")}
    given |= {"secret_keys": "k" * 40, "apixo_api_key": "test"}
    environ = child_environ({name: str(value) for name, value in given.items()})
    with harness.db.read() as tx:
        (delivery,) = store.deliveries.of_job(tx, refused.id)
    for verb in (
        ["jobs"], ["show", refused.id], ["export", refused.id], ["deliveries"], ["callbacks"],
        ["deliveries", "show", delivery.id], ["deliveries", "show", delivery.id, "--curl"],
        ["watch", "--until-idle"],
    ):  # fmt: skip
        for options in ([], ["--json"]) if "--curl" not in verb else ([],):
            done = run_verb([*verb, *options], environ)
            assert 0 == done.returncode, done.stderr
            assert not COMMANDS.search(done.stdout + done.stderr), verb
            if options and done.stdout:
                assert [json.loads(line) for line in done.stdout.splitlines()], verb


def test_error_of_a_verb(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So is the one line of an error."""
    print_error(text)
    shown = capsys.readouterr().err

    assert 1 == shown.count("\n")
    assert not COMMANDS.search(shown)


def test_curl(text: str) -> None:
    """A request as a command shows nothing that commands, and a shell reads the same bytes."""
    body = text[:20_000].encode("utf-8", "replace").replace(b"\x00", b"")
    line = as_curl("POST", "http://a.example/", {}, body.decode())
    seen = line.replace("curl -i", "printf '%s\\n'", 1)
    done = subprocess.run(["/bin/bash", "-c", seen], capture_output=True, check=True)

    assert not COMMANDS.search(line)
    assert body in done.stdout


def test_saved_name(text: str) -> None:
    """A film is saved under a name that ends no header, climbs no folder and turns no ending."""
    name = file_name(replace(JOB, input={"prompt": text}), "a.mp4")

    assert not COMMANDS.search(name)
    assert not set('/\\"<>\r\n') & set(name)


@pytest.mark.parametrize("id_", ["a\x1bb", "a\x00b", "a\u202eb", "\ud800"])
def test_id_of_a_task(id_: str) -> None:
    """An id that lost a character is no id: another task would be asked for."""
    assert as_id(strip_unstorable(id_)) is None

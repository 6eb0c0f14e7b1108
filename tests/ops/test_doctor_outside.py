"""The doctor's questions to others, against real servers on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from support.channel_targets import HttpTarget, MailTarget, bot_says
from support.harness import Harness
from support.sandboxes import SandboxClient

from service.bootstrap import Wiring
from service.channels.base import Channel
from service.channels.email import Email
from service.channels.slack_bot import SlackBot
from service.ops.doctor_outside import check_channels, check_vendors, unreachable_address
from service.providers import make_provider
from service.providers.access import Access
from service.storage import FileStorage

TOKEN = "xoxb-any"


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": sandbox.server.url, "segmind_base_url": sandbox.server.url}


def with_channels(w: Wiring, channels: Mapping[str, Channel]) -> Wiring:
    """The same wiring with these channels."""
    return replace(w, channels=channels)


def test_key_that_the_vendor_takes(harness: Harness) -> None:
    """A vendor that knows no such task, but takes the key, is well."""
    found = check_vendors(harness.wiring)

    assert found.ok and "apixo accepts the key" in found.message


@pytest.mark.parametrize(
    ("key", "url", "says"),
    [
        ("", "", "CLIPBELL_APIXO_API_KEY"),
        ("good", "http://127.0.0.1:9", "CLIPBELL_APIXO_BASE_URL"),
    ],
)
def test_vendor_that_refuses_or_is_away(
    harness: Harness, sandbox: SandboxClient, key: str, url: str, says: str
) -> None:
    """A refused key and a vendor that cannot be asked are findings with the setting to look at."""
    w = harness.wiring
    access = Access(
        outbound=w.outbound,
        uploads=w.uploads,
        answers=FileStorage(w.settings.answers),
        clock=w.clock,
        settings=w.settings,
        base_url=url or sandbox.server.url,
        api_key=key,
        submit_seconds=1.0,
        sync_seconds=1.0,
    )
    found = check_vendors(replace(w, providers={"apixo": make_provider("apixo", access)}))

    assert not found.ok and says in found.message


def test_mail_server(harness: Harness) -> None:
    """A login that works is well; none at all, or a refused one, is said with its fix."""
    with MailTarget("250 kept") as server:
        good = Email(server.url, "clips@example.com", 5)
        assert check_channels(with_channels(harness.wiring, {"email": good})).ok
    gone = check_channels(with_channels(harness.wiring, {"email": good}))

    assert not gone.ok and "email: " in gone.message


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (bot_says(ok=True, url="https://x.slack.com/", team="x", user="bot"), True, "can be used"),
        (bot_says(error="invalid_auth"), False, "CLIPBELL_SLACK_BOT_TOKEN"),
    ],
)
def test_slack_token(harness: Harness, answer: Any, ok: bool, says: str) -> None:
    """Slack is asked whose token it is."""
    with HttpTarget(answer) as server:
        bot = SlackBot(harness.wiring.outbound, TOKEN, 5, f"{server.url}/")
        found = check_channels(with_channels(harness.wiring, {"slack_bot": bot}))

    assert ok is found.ok and says in found.message


@pytest.mark.parametrize(
    ("vendor", "public_url", "says"),
    [
        ("https://api.apixo.ai", "http://127.0.0.1:8000", "no vendor can call 127.0.0.1"),
        ("https://api.apixo.ai", "http://localhost:8000", "no vendor can call localhost"),
        ("https://api.apixo.ai", "https://10.0.0.7", "no vendor can call 10.0.0.7"),
        ("https://api.apixo.ai", "http://clips.example.com", "plain http"),
        ("https://api.apixo.ai", "https://clips.example.com", ""),
        ("http://127.0.0.1:9", "http://127.0.0.1:8000", ""),
    ],
)
def test_public_address(harness: Harness, vendor: str, public_url: str, says: str) -> None:
    """With vendors on the internet the address has to be on it, too; a sandbox may be here."""
    given = {"apixo_base_url": vendor, "segmind_base_url": vendor, "public_url": public_url}
    settings = harness.wiring.settings.model_copy(update=given)
    found = unreachable_address(replace(harness.wiring, settings=settings))

    assert (says in found) if says else found == ""

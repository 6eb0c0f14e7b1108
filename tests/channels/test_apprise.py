"""What Apprise gets and is asked, and whose targets it may serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.channel_targets import LINK, HttpTarget, delivery_request, error, notification
from support.harness import Harness

from service.accounts import create_key
from service.channels.apprise import Apprise
from service.channels.slack import Slack
from service.deliveries.subscription_spec import open_to, parse_subscription
from service.errors import DeliveryError, InvalidInput, NextStep
from service.model import EventType
from service.outbound.client import Outbound
from service.web.app import create_app


def arrived(kind: EventType, **more: Any) -> dict[str, Any]:
    """What a service gets that takes JSON."""
    channel = Apprise()
    with HttpTarget((200, "ok")) as target:
        where = target.url.replace("http", "json")
        channel.send(delivery_request(where, channel.render(notification(kind, **more), "text")))
    found: dict[str, Any] = json.loads(target.bodies[0])
    return found


@pytest.mark.parametrize(
    ("kind", "mood"),
    [
        (EventType.JOB_SUBMITTED, "info"),
        (EventType.JOB_SUCCEEDED, "success"),
        (EventType.JOB_FAILED, "failure"),
        (EventType.JOB_HELD, "warning"),
        (EventType.JOB_OVERDUE, "warning"),
        (EventType.VIDEO_EXPIRING, "warning"),
    ],
)
def test_mood(kind: EventType, mood: str) -> None:
    """Where a service has colours, good and bad news have theirs."""
    assert mood == arrived(kind)["type"]


def test_good_news_leads_to_the_video() -> None:
    """The prompt, the links, the facts, each on lines of its own."""
    report = arrived(EventType.JOB_SUCCEEDED, cost=0.44)

    assert "Video ready" == report["title"]
    assert report["message"].startswith(f"A red fox runs through fresh snow\n\nWatch: {LINK}\n")
    assert "Kling 2.5 Turbo · 5 s · 1280 × 720 · 1 min 12 s · $0.44" in report["message"]


def test_failure_says_why_and_what_to_do() -> None:
    """The vendor's words and our hint."""
    report = arrived(EventType.JOB_FAILED, error=error("IMAGE_TOO_LARGE", "image is 12 MB"))

    assert "Image is 12 MB. Make the image smaller than 10 MB." in report["message"]


def test_no_prompt_calls_a_room_together() -> None:
    """Discord and others would read @everyone, and the whole server would hear of a video."""
    report = arrived(EventType.JOB_SUCCEEDED, prompt="@everyone look <@123>")

    assert "@everyone" not in report["message"]
    assert "everyone look" in report["message"]
    assert "@1" not in report["message"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_final(status: int) -> None:
    """A target that the service does not know is not asked again and again."""
    channel = Apprise()
    with HttpTarget((status, "no")) as target, pytest.raises(DeliveryError) as caught:
        where = target.url.replace("http", "json")
        channel.send(delivery_request(where, channel.render(notification(), "text")))

    assert (NextStep.GIVE_UP, status) == (caught.value.next_step, caught.value.status)


@pytest.mark.parametrize("scopes", [[], ["read", "submit", "admin"]])
def test_others_cannot_name_it(scopes: list[str]) -> None:
    """Its targets lead past our guard: a key without the scope operator hears so."""
    with pytest.raises(InvalidInput, match="apprise needs a key with the scope operator"):
        parse_subscription(open_to({"apprise": Apprise()}, scopes), "apprise:json://10.0.0.1/x", "")


def test_the_operator_can() -> None:
    """Whoever runs the service names what it likes; the other channels are everybody's."""
    outbound = Outbound()
    channels = {"slack": Slack(outbound), "apprise": Apprise()}
    spec = parse_subscription(open_to(channels, ["operator"]), "apprise:json://10.0.0.1/x", "")
    outbound.close()

    assert ("apprise", "json://10.0.0.1/x") == (spec.channel, spec.target)
    assert {"slack"} == set(open_to(channels, ["submit"]))


TARGET = {"channel": "apprise", "target": "json://10.0.0.1/x"}
JOB = {"model": "kling-2", "input": {"prompt": "A fox"}, "notify": [TARGET]}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness."""
    return create_app(harness.wiring).test_client()


def key(harness: Harness, *scopes: str) -> dict[str, str]:
    """The header of a key with those scopes."""
    with harness.db.write() as tx:
        return {"x-api-key": create_key(tx, harness.account.id, "k", scopes, harness.clock())}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [("/v1/subscriptions", TARGET, "/channel"), ("/v1/jobs", JOB, "/notify/0/channel")],
)
def test_every_entry_asks_for_the_operator(
    path: str, body: dict[str, Any], place: str, client: FlaskClient, harness: Harness
) -> None:
    """Neither a subscription nor a job takes others' keys past our guard."""
    other = client.post(path, json=body, headers=key(harness, "read", "submit", "admin"))
    operators = client.post(path, json=body, headers=key(harness, "submit", "admin", "operator"))

    assert (422, True) == (other.status_code, operators.status_code in (201, 202))
    assert [place] == [f["pointer"] for f in other.get_json(force=True)["errors"]]


def test_it_cannot_be_changed_by_others(client: FlaskClient, harness: Harness) -> None:
    """What the operator made stays where it leads."""
    operator = key(harness, "admin", "operator")
    made = client.post("/v1/subscriptions", json=TARGET, headers=operator).get_json()
    path, change = f"/v1/subscriptions/{made['id']}", {"target": "json://10.0.0.2/x"}
    other = client.patch(path, json=change, headers=key(harness, "admin"))

    assert 422 == other.status_code
    assert 200 == client.patch(path, json=change, headers=operator).status_code


MISSING = """
from service.channels.apprise import Apprise
from service.channels.base import DeliveryRequest
from service.model import utc_now
from service.errors import DeliveryError, InvalidInput
for call in (
    lambda: Apprise().check_target("ntfy://clips"),
    lambda: Apprise().send(DeliveryRequest("dlv_1", "evt_1", "ntfy://clips", (), b"{}", utc_now())),
):
    try:
        call()
    except (InvalidInput, DeliveryError) as error:
        print(error)
"""


def test_without_the_library_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Who chooses it, and what was chosen before it went, is shown the one command."""
    (tmp_path / "apprise.py").write_text("raise ModuleNotFoundError('no apprise')")
    done = subprocess.run(
        [sys.executable, "-c", MISSING],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert 2 == done.stdout.count("pip install 'clipbell[apprise]'")


def test_it_costs_nothing_until_it_is_used() -> None:
    """A service that never names it does not load it."""
    program = (
        "import sys; from service.channels.apprise import Apprise; Apprise(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert "apprise" not in done.stdout.split()

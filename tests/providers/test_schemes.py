"""
How vendors sign, checked against what others have signed.

The vector of Standard Webhooks is the one of its specification, the Ed25519 key is the first
of RFC 8032, and every other signature was made by OpenSSL's command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.harness import TestClock
from support.reach import access
from support.servers import free_port
from support.serving import QuietHandler, Served

from service.errors import SettingsError, Unanswered
from service.outbound.client import Outbound
from service.providers import make_provider
from service.providers.schemes import (
    Ed25519Jwks,
    IdTimeHmac,
    Scheme,
    SharedHeader,
    StandardWebhooks,
    TimedHmac,
)

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TIME = "1767268800"  # noon
STANDARD = StandardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "X")
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OPENROUTER_BODY = b'{"type":"video.generation.completed","data":{"id":"gen-vid-1"}}'
COMMA = f"t={TIME},v1=4a55cbd0e898ae889876e139b8fec4063c3404029b35de0a6729bf1280d7e4ff"
DOT = f"t={TIME},v1=e8ac91824e53c8458d3d136a72e1c6ca4e1d34e77addc035d5a00de8d198ecaa"
KIE_HEADERS = {
    "x-webhook-timestamp": TIME,
    "x-webhook-signature": "Ug4nxJTEJVZdDQJO3iqOa17PkdTrBZge8Vg2VbtNy74=",
}
FAL_BODY = (
    b'{"request_id":"r1","status":"OK","payload":{"video":{"url":"https://v3.fal.media/a.mp4"}}}'
)
FAL_HEADERS = {
    "x-fal-webhook-request-id": "r1",
    "x-fal-webhook-user-id": "user-7",
    "x-fal-webhook-timestamp": TIME,
    "x-fal-webhook-signature": (
        "eef01e0592ec729a8aa132136cb44acf03ec6dc1db302b1e3e4ae07e839f690e"
        "e01f12423245c06e113bfd86c37ba5406a4be305e8dbe444240e0204f8961c0a"
    ),
}
KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
OTHER_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}


def openrouter(secrets: str = "or-secret", separator: str = ",") -> TimedHmac:
    """The scheme of OpenRouter, or of others with a dot."""
    return TimedHmac(secrets, "x-openrouter-signature", separator)


def kie() -> IdTimeHmac:
    """The scheme of kie.ai."""
    return IdTimeHmac("kie-secret", "x-webhook-signature", "x-webhook-timestamp")


def piapi() -> SharedHeader:
    """The scheme of PiAPI."""
    return SharedHeader("pi-secret", "x-webhook-secret")


Case = tuple[Scheme, dict[str, str], bytes, datetime]
GOOD: dict[str, Case] = {
    "standard": (
        STANDARD,
        STANDARD_HEADERS,
        STANDARD_BODY,
        datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC),
    ),
    "comma": (openrouter(), {"x-openrouter-signature": COMMA}, OPENROUTER_BODY, NOON),
    "dot": (openrouter(separator="."), {"x-openrouter-signature": DOT}, OPENROUTER_BODY, NOON),
    "market": (kie(), KIE_HEADERS, b'{"data":{"taskId":"task_12345"}}', NOON),
    "market, other spelling": (kie(), KIE_HEADERS, b'{"data":{"task_id":"task_12345"}}', NOON),
    "shared": (piapi(), {"x-webhook-secret": "pi-secret"}, b"{}", NOON),
    "rotating": (
        openrouter("newer, or-secret"),
        {"x-openrouter-signature": COMMA},
        OPENROUTER_BODY,
        NOON,
    ),
    "two signatures": (
        openrouter(),
        {"x-openrouter-signature": COMMA.replace("v1=", "v1=00,v1=")},
        OPENROUTER_BODY,
        NOON,
    ),
}


@pytest.mark.parametrize("vendor", ["kling", "replicate"])
@pytest.mark.parametrize(
    "secret", [",", "whsec_", "whsec_%%", "not base64!", "whsec_é", "whsec_QUFB,whsec_#", "A"]
)
def test_secret_that_is_none(vendor: str, secret: str) -> None:
    """A secret that cannot sign stops the start, and the setting is named."""
    with closing(Outbound()) as outbound, pytest.raises(SettingsError) as caught:
        make_provider(vendor, access(outbound, "http://127.0.0.1:9", webhook_secret=secret))

    assert f"CLIPBELL_{vendor.upper()}_WEBHOOK_SECRET must be whsec_" in str(caught.value)


@pytest.mark.parametrize("secret", ["whsec_QUFB", "QUFB", "whsec_QUE", " whsec_QUFB, whsec_QUJD "])
def test_forms_of_a_secret(secret: str) -> None:
    """With its beginning or without, unpadded, and two of them."""
    with closing(Outbound()) as outbound:
        reach = access(outbound, "http://127.0.0.1:9", webhook_secret=secret)

        assert make_provider("kling", reach).scheme


@pytest.mark.parametrize("name", GOOD)
def test_signed_by_others(name: str) -> None:
    """What others have signed is taken; with another time, secret, header or body it is not."""
    scheme, headers, body, now = GOOD[name]
    broken = {header: value[:-3] + "xyz" for header, value in headers.items()}

    assert scheme.fault(headers, body, now) is None
    assert scheme.fault(broken, body, now)
    assert scheme.fault({}, body, now)
    if scheme.covers_body:
        assert scheme.fault(headers, body + b" ", now)
    if name != "shared":
        assert scheme.fault(headers, body, now + timedelta(seconds=301))
        assert scheme.fault(headers, body, now - timedelta(seconds=301))


def test_body_that_is_not_covered() -> None:
    """kie.ai signs the task's id only: another result passes, another task does not."""
    forged = b'{"data":{"taskId":"task_12345","resultJson":"{}"}}'

    assert kie().fault(KIE_HEADERS, forged, NOON) is None
    assert kie().fault(KIE_HEADERS, b'{"data":{"taskId":"task_99999"}}', NOON)
    assert not kie().covers_body


@pytest.mark.parametrize("time", ["", "now", "-1", "9" * 30, "１７６７２６８８００"])
def test_odd_times(time: str) -> None:
    """A time that is no number is a fault, never an error of ours."""
    headers = {"x-openrouter-signature": COMMA.replace(TIME, time)}

    assert openrouter().fault(headers, OPENROUTER_BODY, NOON)


class Keys(Served):
    """A vendor's list of public keys, which may change or be away."""

    def __init__(self, *keys: Any) -> None:
        self.keys, self.status, self.hits = list(keys), 200, 0
        served = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                served.hits += 1
                body = json.dumps({"keys": served.keys}).encode()
                self.send_response(served.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.serve(Handler)


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """The guarded client; this machine is allowed."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


def fal(outbound: Outbound, url: str, clock: TestClock) -> Ed25519Jwks:
    """The scheme of fal."""
    return Ed25519Jwks(outbound, f"{url}/jwks.json", "x-fal-webhook", clock)


def test_ed25519(outbound: Outbound, clock: TestClock) -> None:
    """Every key is tried; the keys are fetched once for many callbacks."""
    with Keys({"kty": "RSA"}, {"kty": "OKP", "x": "short"}, "x", OTHER_KEY, KEY) as keys:
        scheme = fal(outbound, keys.origin, clock)
        good = [scheme.fault(FAL_HEADERS, FAL_BODY, NOON) for _ in range(3)]

        assert [None] * 3 == good
        assert 1 == keys.hits
        assert scheme.fault(FAL_HEADERS, FAL_BODY + b" ", NOON)
        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON + timedelta(seconds=301))
        assert scheme.fault({}, FAL_BODY, NOON)
        assert scheme.fault(FAL_HEADERS | {"x-fal-webhook-signature": "zz"}, FAL_BODY, NOON)


def test_rotated_key(outbound: Outbound, clock: TestClock) -> None:
    """A key that is new since the last fetch is found; forgeries fetch once a minute at most."""
    with Keys(OTHER_KEY) as keys:
        scheme = fal(outbound, keys.origin, clock)
        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON)
        keys.keys = [KEY]
        for _ in range(5):
            assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON)
        assert 1 == keys.hits
        clock.advance(61)

        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON) is None
        assert 2 == keys.hits


def test_outage_of_the_keys(outbound: Outbound, clock: TestClock) -> None:
    """Old keys go on serving while the list is away; a revoked one ends with the next fetch."""
    with Keys(KEY) as keys:
        scheme = fal(outbound, keys.origin, clock)
        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON) is None
        keys.status = 503
        clock.advance(25 * 3600)
        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON) is None
        keys.status, keys.keys = 200, [OTHER_KEY]

        assert scheme.fault(FAL_HEADERS, FAL_BODY, NOON)


def test_no_keys_at_all(outbound: Outbound, clock: TestClock) -> None:
    """Keys that could never be had are no proof of a forgery."""
    scheme = fal(outbound, f"http://127.0.0.1:{free_port()}", clock)
    with pytest.raises(Unanswered, match="cannot be fetched"):
        scheme.fault(FAL_HEADERS, FAL_BODY, NOON)

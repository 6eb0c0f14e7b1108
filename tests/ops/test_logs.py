"""Logging: one line per fact, and never a secret in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers import Clipbell, http_call

from service.accounts import KEY_PREFIX
from service.ops.logs import ConsoleFormatter, JsonFormatter, masked
from service.signing import UrlSigner, new_webhook_secret

LATER = datetime.now(UTC) + timedelta(days=1)
URL = "https://clips.example.com"
KEY = KEY_PREFIX + "a_B-9" * 8
FORMATTERS = {"json": JsonFormatter(), "console": ConsoleFormatter()}


def secrets() -> dict[str, str]:
    """Every kind of secret that can get near a log, by the text that must not be seen."""
    urls = [
        UrlSigner(["k" * 32], "callback", f"{URL}/callbacks").url_for(LATER, job="job_1"),
        UrlSigner(["k" * 32], "video", f"{URL}/v").url_for(LATER, video="vid_1"),
        UrlSigner(["k" * 32], "unsubscribe", f"{URL}/u").url_for(LATER, subscription="sub_1"),
    ]
    found = {url.rpartition("/")[2]: url for url in urls}
    webhook = new_webhook_secret()
    return found | {KEY.removeprefix(KEY_PREFIX): KEY, webhook.removeprefix("whsec_"): webhook}


SECRETS = secrets()
KINDS = ["callback", "link", "unsubscribe", "key", "webhook"]


def line(format_: str, message: str, *args: object, **extra: Any) -> str:
    """A record as it is written."""
    record = logging.LogRecord("service.x", logging.INFO, "x.py", 1, message, args, None)
    vars(record).update(extra)
    return FORMATTERS[format_].format(record)


@pytest.mark.parametrize(("secret", "text"), SECRETS.items(), ids=KINDS)
def test_masked(secret: str, text: str) -> None:
    """Tokens and keys are cut out, what stands around them stays."""
    found = masked(f"GET {text}?download=1 by them")

    assert secret not in found
    assert "***" in found
    assert found.startswith("GET ")
    assert found.endswith(" by them")


@pytest.mark.parametrize(("secret", "text"), SECRETS.items(), ids=KINDS)
def test_masked_in_other_writing(secret: str, text: str) -> None:
    """Nor do they stay where a vendor's JSON or another address has escaped the slashes."""
    report = [text.replace("/", "\\/"), json.dumps(text.replace("/", "\\/")), quote(text, safe="")]

    assert [] == [found for found in map(masked, report) if secret in found]


@pytest.mark.parametrize("format_", FORMATTERS)
@pytest.mark.parametrize(("secret", "text"), SECRETS.items(), ids=KINDS)
def test_no_secret_in_a_line(format_: str, secret: str, text: str) -> None:
    """Neither the message, nor its arguments, nor a further field shows a secret."""
    report = [
        line(format_, f"at {text}"),
        line(format_, "at %s", text),
        line(format_, "at", path=text),
        line(format_, "at", headers={"where": [text]}),
    ]

    assert [] == [found for found in report if secret in found]


@pytest.mark.parametrize("format_", FORMATTERS)
@pytest.mark.parametrize(("secret", "text"), SECRETS.items(), ids=KINDS)
def test_no_secret_in_a_traceback(format_: str, secret: str, text: str) -> None:
    """Nor does an exception that quotes it."""
    try:
        raise ValueError(f"cannot reach {text}")
    except ValueError:
        report = line(format_, "failed", exc_info=sys.exc_info())

    assert "ValueError" in report
    assert secret not in report


def test_poster_of_a_link() -> None:
    """Behind a token the rest of the path is still reported."""
    assert "/v/***/poster.jpg" == masked("/v/abc.def-_/poster.jpg")


def test_json_line() -> None:
    """A machine gets time, level, logger, message and the fields."""
    report = json.loads(line("json", "worker %s", "started", threads={"submit": 4}))

    assert ("info", "service.x", "worker started") == (
        report["level"],
        report["logger"],
        report["message"],
    )
    assert {"submit": 4} == report["threads"]
    assert timedelta(0) == datetime.fromisoformat(report["time"]).utcoffset()


@pytest.mark.parametrize("format_", FORMATTERS)
@given(text=st.text(st.characters()))
def test_one_line_per_fact(format_: str, text: str) -> None:
    """Whatever a message quotes, it cannot start a line of its own."""
    report = line(format_, "said %s", text, answer=text)

    assert 1 == len(report.split("\n"))


def test_console_line() -> None:
    """A person gets the time, the level's letter, the message and the fields."""
    assert line("console", "worker started", job="job_1").endswith(" I worker started job=job_1")


def test_no_token_in_the_log_of_the_service(tmp_path: Path) -> None:
    """The running web process writes neither tokens nor keys, whatever is sent to it."""
    with Clipbell(tmp_path, "http://127.0.0.1:9") as clipbell:
        clipbell.start()
        tokens = ["forged-callback-token", "forged-link-token"]
        for path in ("/callbacks/{}", "/v/{}", "/v/{}/poster.jpg"):
            for method in ("GET", "POST", "DELETE"):
                for token in tokens:
                    http_call(method, clipbell.url + path.format(token), b"{}")
        clipbell.call("GET", "/v1/me")
        clipbell.call("GET", "/v1/me", headers={"x-api-key": KEY})
        clipbell.stop("serve")
        clipbell.stop("worker")
        log = clipbell.log("serve") + clipbell.log("worker")

    assert [] == [word for word in (*tokens, clipbell.key, KEY) if word in log]


def test_ids_are_fields() -> None:
    """An id that a message names is a field of its own, whoever writes the message."""
    job, delivery = f"job_{'a' * 32}", f"dlv_{'b' * 32}"
    message = f"the answer for {job} and {delivery} is kept"
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO"})
    line = json.loads(JsonFormatter().format(record))

    assert (job, delivery, message) == (line["job_id"], line["delivery_id"], line["message"])
    assert "callback_id" not in line

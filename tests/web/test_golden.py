"""
What programs read of us, to the letter: the document, each answer, each refusal.

Whoever changes one of them on purpose runs ``UPDATE_GOLDEN=1 pytest tests/web/test_golden.py``
and commits the new files with the change.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support import golden
from support.databases import Template
from support.factories import kept_video
from support.harness import Harness
from werkzeug.test import TestResponse

from service import store
from service.accounts import create_key
from service.events.record import record_event
from service.model import EventType, JobState
from service.web.app import create_app

TARGET = "http://127.0.0.1:9/hook"
GOOD: dict[str, Any] = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
APIXO, TURBO, TEXT, TWO = "kling-2-5-turbo-pro", "kling-2.5-turbo", "kling-text2video", "kling-2"
JSON = {"Content-Type": "application/json"}
Call = tuple[str, str, Any]


@pytest.fixture
def database_url(database_template: Template, tmp_path: Path) -> str:
    """Answers do not depend on the database's kind."""
    return database_template.sqlite(tmp_path)


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base |= {"HTTP_X_API_KEY": harness.key, "HTTP_USER_AGENT": "test"}
    return client


@pytest.fixture
def rows(harness: Harness, client: FlaskClient) -> dict[str, str]:
    """One of everything: the ids by the word that a table of calls has for them."""
    job = harness.new_job()
    kept_video(harness, job)
    unknown = harness.new_job("A hare")
    subscription = client.post(
        "/v1/subscriptions",
        json={"channel": "webhook", "target": TARGET, "events": list(EventType)},
    ).get_json()
    with harness.db.write() as tx:
        store.jobs.change(tx, unknown.id, list(JobState), state=JobState.UNKNOWN, due_at=None)
        record_event(tx, job, EventType.JOB_SUBMITTED, harness.clock())
    harness.drain("number", "deliver")
    tomorrow = harness.clock() + timedelta(days=1)
    callback = harness.wiring.signer.url_for(tomorrow, job=job.id, provider="apixo")
    client.post(f"/callbacks/{callback.rpartition('/')[2]}", data=b'{"a": 1}')
    return {
        "JOB": job.id,
        "UNKNOWN": unknown.id,
        "SUB": subscription["id"],
        "DLV": client.get("/v1/deliveries").get_json()["data"][0]["id"],
        "CBK": client.get("/v1/callbacks").get_json()["data"][0]["id"],
    }


def called(client: FlaskClient, rows: dict[str, str], call: Call, **headers: str) -> TestResponse:
    """The answer to a call whose address may hold words of `rows`."""
    method, address, body = call
    for word, id_ in rows.items():
        address = address.replace(f"<{word}>", id_)
    given = {"data": body} if isinstance(body, bytes) else {"json": body}
    return client.open(address, method=method, headers=headers, **({} if body is None else given))


def masked(text: str) -> str:
    """The same without what differs from run to run: ids, secrets, signatures, durations."""
    text = re.sub(r"\b(job|sub|dlv|cbk|evt|vid|acc)_(?!0{32})[0-9a-f]{32}", r"\1_…", text)
    text = re.sub(r"\b(whsec|clb)_[\w+/=-]{9,}", r"\1_…", text)
    text = re.sub(r'("v1,|Clipbell/)[^"]+', r"\1…", text)
    text = re.sub(r"/(v|callbacks)/[\w.-]+", r"/\1/…", text)
    text = re.sub(r'("next_cursor": )"\w{9,}"', r'\1"…"', text)
    text = re.sub(r'("next_attempt_at": )"[^"]+"', r'\1"…"', text)
    return re.sub(r'("milliseconds": )\d+', r"\g<1>0", text)


def row_of(call: Call, answer: TestResponse) -> str:
    """Some lines of a golden file: the call, then the status and the body as it was sent."""
    method, address, body = call
    said = body.decode("latin-1") if isinstance(body, bytes) else json.dumps(body)
    request = f"{method} {address} {said if body is not None else ''}".rstrip()
    request = re.sub(r"x{20,}", lambda found: f"x × {len(found[0])}", request)
    return f"{request}\n  {answer.status_code} {_said(answer)}\n"


def _said(answer: TestResponse) -> str:
    """The body; of a problem a line for each thing that it says besides its status."""
    problem = answer.get_json(silent=True) or {}
    if answer.content_type != "application/problem+json":
        return masked(answer.text)
    lines = [masked(problem["detail"])]
    lines += [f"hint: {problem['hint']}"] if "hint" in problem else []
    lines += [f"{f['pointer']} {f['code']}: {f['message']}" for f in problem.get("errors", [])]
    return "\n    ".join(lines)


def test_golden_document(client: FlaskClient) -> None:
    """The document of a server with APIXO's and Segmind's keys, but for the version."""
    document = client.get("/openapi.json").get_json()
    document["info"]["version"] = "0"

    golden.check("openapi.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")


ANSWERS: list[Call] = [
    ("GET", "/v1/me", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1/providers", None),
    ("POST", "/v1/providers/apixo/hold", None),
    ("POST", "/v1/providers/apixo/resume", None),
    ("POST", "/v1/jobs?dry_run=true", GOOD | {"metadata": {"order": 7}}),
    ("POST", "/v1/jobs", GOOD | {"metadata": {"order": 7}, "notify": [f"webhook:{TARGET}"]}),
    ("GET", "/v1/jobs/<JOB>", None),
    ("GET", "/v1/jobs/<JOB>/timeline", None),
    ("GET", "/v1/jobs?limit=1", None),
    ("POST", "/v1/subscriptions", {"channel": "webhook", "target": TARGET, "models": [TWO]}),
    ("GET", "/v1/subscriptions/<SUB>", None),
    ("GET", "/v1/subscriptions", None),
    ("PATCH", "/v1/subscriptions/<SUB>", {"enabled": False, "metadata": {"team": "a"}}),
    ("POST", "/v1/subscriptions/<SUB>/test", None),
    ("PATCH", "/v1/subscriptions/<SUB>", {"enabled": True}),
    ("POST", "/v1/subscriptions/<SUB>/recover?since=2026-01-01T00:00:00Z", None),
    ("POST", "/v1/subscriptions/<SUB>/rotate-secret", None),
    ("POST", "/v1/subscriptions/<SUB>/rotate-secret", {"revoke": True}),
    ("POST", "/v1/hooks", {"hookUrl": TARGET, "event": "job.failed", "more": 1}),
    ("POST", "/v1/hooks", {"target_url": TARGET, "event": "job.failed"}),
    ("GET", "/v1/hooks/<SUB>", None),
    ("GET", "/v1/events", None),
    *[
        ("GET", f"/v1/events/samples?event={event}&format={format_}", None)
        for event in ("job.failed", "subscription.disabled")
        for format_ in ("standard", "flat", "apixo", "openai")
    ],
    ("GET", "/v1/deliveries", None),
    ("GET", "/v1/deliveries/<DLV>", None),
    ("GET", "/v1/callbacks", None),
    ("GET", "/v1/callbacks/<CBK>", None),
    ("POST", "/v1/callbacks/<CBK>/replay", None),
    ("GET", "/v1/callbacks?rejected=true", None),
    ("POST", "/v1/jobs/<UNKNOWN>/resolve", {"task_id": "t-1"}),
    ("POST", "/v1/jobs/<JOB>/mute", None),
    ("POST", "/v1/jobs/<JOB>/cancel", None),
    ("GET", "/healthz", None),
    ("POST", "/v2/kling-2", {"prompt": "A fox"}),
    ("GET", "/v2/requests/<JOB>", None),
    ("GET", "/v2/requests/<UNKNOWN>/status", None),
    ("POST", f"/api/v1/generateTask/{APIXO}", {"input": {"prompt": "A fox"}}),
    ("GET", f"/api/v1/statusTask/{APIXO}?taskId=<UNKNOWN>", None),
    ("POST", "/v1/videos", {"model": TWO, "prompt": "A fox", "seconds": "5", "size": "720x1280"}),
    ("GET", "/v1/videos/<UNKNOWN>", None),
    ("GET", "/v1/videos?limit=1", None),
    ("DELETE", "/v1/videos/<JOB>", None),
]


def test_golden_answers(client: FlaskClient, harness: Harness, rows: dict[str, str]) -> None:
    """Each kind of answer, byte for byte but for ids and secrets."""
    found = []
    for call in ANSWERS:
        harness.clock.advance(1)
        found.append(row_of(call, called(client, rows, call)))

    golden.check("answers.txt", "\n".join(found))


def bodies(method: str, address: str, *given: Any) -> list[Call]:
    """The same call with several bodies."""
    return [(method, address, body) for body in given]


def job_of(model: str, **given: Any) -> dict[str, Any]:
    """A request for that model; fields of the input as named."""
    return {"model": model, "input": {"prompt": "A fox"} | given}


def each(field: str, *values: Any) -> list[dict[str, Any]]:
    """A good request for a job, but for one field."""
    return [GOOD | {field: value} for value in values]


def each_input(model: str, field: str, *values: Any) -> list[dict[str, Any]]:
    """A good request for a job of that model, but for one field of its input."""
    return [job_of(model, **{field: value}) for value in values]


REFUSALS: list[Call] = [
    *bodies("POST", "/v1/jobs", b"{", b"", b"\xff\xfe", b'{"a": NaN}', b"[" * 99, b'{"a": 1e999}'),
    *bodies("POST", "/v1/jobs", b'{"a": "\\ud800"}', [], 1, "x", True, {}),
    *bodies(
        "POST",
        "/v1/jobs",
        *each("model", None, 1, "kling-9", "kling-2.5-turbos"),
        *each("input", None, "A fox", [], {}, {"prompt": None}),
        *each("provider", "segmind", 1, "", []),
        *each("notify", 1, "x", {}, ["x"], [7], [None], [{}]),
        GOOD | {"notify": [f"webhook:{TARGET}"] * 11},
        GOOD | {"notify": ["pigeon:x", "webhook:ftp://x", "webhook:http://192.168.0.1/"]},
        GOOD | {"notify": ["email:x@y.example", "slack_bot:C01", "slack:https://x.example/"]},
        GOOD | {"notify": [{"channel": "webhook", "target": TARGET, "secret": 1, "events": ["x"]}]},
        *each("metadata", [], "x", {"a": "x" * 5000}),
        GOOD | {"callback_url": "x", "a/b~": 1},
        {"model": TURBO, "provider": "value", "notify": 1, "metadata": 1, "x": 1}
        | {"input": {"duration": 7, "mode": "std", "y": 1}},
        {"model": "x", "provider": "y", "input": {"z": 1}},
    ),
    *bodies(
        "POST",
        "/v1/jobs",
        *each_input(TURBO, "prompt", "", " ", 1, "x" * 2501, "a\x00b"),
        *each_input(TURBO, "duration", 7, "7", True, 5.5, []),
        *each_input(TURBO, "cfg_scale", -1, 2, "0.5", True),
        job_of(APIXO, cfg_scale=0.55),
        *each_input(TURBO, "aspect_ratio", "4:3", 1, {}),
        *each_input(TURBO, "image_url", 0, "fox.jpg", "http://x/a b.jpg", []),
        job_of(TURBO, tail_image_url="https://pictures.example/a.jpg"),
        *each_input(APIXO, "image_urls", "x", [1], ["a", "b", "c"], ["fox.jpg"]),
        job_of(APIXO, mode="image-to-video"),
        job_of(APIXO, mode="text-to-video", image_urls=["https://pictures.example/a.jpg"]),
        job_of(APIXO, aspect_ratio="1:1", image_urls=["https://pictures.example/a.jpg"]),
        job_of(TEXT, camera_control_config="zoom"),
        job_of(TEXT, camera_control_config_value=11),
        job_of(TEXT, camera_control_config="zoom", camera_control_config_value=1),
        job_of(TWO, seed=1, Prompt="x"),
    ),
    *bodies("POST", "/v1/jobs?dry_run=yes", GOOD),
    *bodies("POST", "/v1/jobs?dry_run=true&dry_run=true&colour=red", GOOD),
    *bodies(
        "POST", "/v1/jobs/<UNKNOWN>/resolve", [], {}, {"task_id": ""}, {"task_id": 7}, {"resend": 1}
    ),
    *bodies(
        "POST",
        "/v1/jobs/<UNKNOWN>/resolve",
        {"fail": False},
        {"fail": True, "resend": True},
        {"task_id": "a\x00b"},
        {"x": 1},
        None,
    ),
    ("POST", "/v1/jobs/<JOB>/resolve", {"fail": True}),
    ("POST", "/v1/jobs/<UNKNOWN>/cancel", None),
    ("DELETE", "/v1/jobs/<UNKNOWN>", None),
    *[
        (method, f"/v1/jobs/job_nobody{rest}", {"fail": True} if rest == "/resolve" else None)
        for method, rest in (
            *[("GET", ""), ("GET", "/timeline"), ("DELETE", "")],
            *[("POST", "/cancel"), ("POST", "/mute"), ("POST", "/resolve")],
        )
    ],
    *[
        ("GET", f"/v1/{query}", None)
        for query in (
            *("jobs?state=gone", "jobs?since=yesterday", "jobs?since=2026-01-01", "jobs?limit=0"),
            *("jobs?limit=101", "jobs?limit=x", "jobs?cursor=!!", "jobs?colour=red&state=x"),
            *("models?x=1", "me?x=1", "providers?x=1", "jobs/<JOB>?x=1", "callbacks?state=x"),
            *("callbacks?rejected=perhaps", "deliveries?state=x", "deliveries?limit=-1"),
            *("events?after=x", "events?after=99", "events?type=x,job.failed", "events?type="),
            *("events/samples?event=x", "events/samples?format=xml", "nowhere"),
            *("subscriptions/sub_nobody", "hooks/sub_nobody", "deliveries/dlv_nobody"),
            *("callbacks/cbk_nobody", "requests/job_nobody"),
        )
    ],
    ("PUT", "/v1/jobs", {}),
    *bodies(
        "POST",
        "/v1/subscriptions",
        *[[], {}, "x", 7, {"channel": "webhook"}, {"channel": ["webhook"], "target": TARGET}],
        *["pigeon:x", "webhook:", "email:x@y.example"],
        *[{"channel": "webhook", "target": target} for target in (7, "", "ftp://x", "http://")],
        *[{"channel": "webhook", "target": f"http://{host}/"} for host in ("10.0.0.1", "u:p@x.y")],
        *[{"channel": "slack", "target": target} for target in ("C01", "https://x.example/")],
        {"channel": "apprise", "target": "nonsense"},
        {"channel": "webhook", "target": "", "events": ["x", 7], "format": 1, "colour": 1}
        | {"models": ["x"], "metadata": {"a": []}},
        {"channel": "x", "events": "x", "models": 1, "metadata": 1, "a/b~": 1},
        {"channel": "webhook", "target": TARGET, "metadata": {str(n): n for n in range(21)}},
        {"channel": "webhook", "target": TARGET, "format": "apixo"}
        | {"events": ["subscription.disabled"]},
        {"channel": "slack", "target": "https://x.example/", "format": "flat"},
    ),
    ("POST", "/v1/subscriptions?test=perhaps", {"channel": "webhook", "target": TARGET}),
    ("POST", "/v1/subscriptions?test=true", {"channel": "webhook", "target": TARGET}),
    *bodies(
        "PATCH",
        "/v1/subscriptions/<SUB>",
        *[[], "x", {"enabled": "no"}, {"enabled": 1}, {"channel": "slack"}, {"secret": "x"}],
        *[{"events": ["x"]}, {"target": ""}, {"format": "xml"}, {"models": "x", "metadata": 1}],
    ),
    *bodies(
        "POST",
        "/v1/subscriptions/<SUB>/rotate-secret",
        *[[], "x", {"revoke": 1}, {"revoke": None}, {"x": 1}],
    ),
    ("POST", "/v1/subscriptions/<SUB>/recover", None),
    ("POST", "/v1/subscriptions/<SUB>/recover?since=x", None),
    *bodies("PATCH", "/v1/subscriptions/sub_nobody", {}),
    *[
        (method, f"/v1/subscriptions/sub_nobody{rest}", None)
        for method, rest in (("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret"))
    ],
    *bodies(
        "POST",
        "/v1/hooks",
        *[[], {}, "x", {"url": "ftp://x"}, {"targetUrl": 7}, {"target_url": "", "url": None}],
        *[{"url": TARGET, "event": event} for event in ("x", 7, False, ["job.failed", "x"])],
        *[{"url": TARGET, "events": "x"}, {"url": TARGET, "format": False}],
        {"hookUrl": "http://10.0.0.1/", "events": [7], "format": "xml", "models": "x"},
    ),
    ("POST", "/v1/deliveries/dlv_nobody/resend", None),
    ("POST", "/v1/callbacks/cbk_nobody/replay", None),
    ("POST", "/v1/providers/nobody/hold", None),
    ("POST", "/v1/providers/nobody/resume", None),
    *[(method, f"/{kind}/forged", None) for method, kind in (("POST", "callbacks"), ("GET", "v"))],
    *[("GET", "/v/forged/poster.jpg", None), ("POST", "/u/forged", None)],
    *bodies("POST", "/v1/kling-2", b"{", {}, [], {"prompt": "x", "duration": 7, "seed": 1}),
    *bodies("POST", "/v2/kling-2", b"{", {}, [], {"prompt": "x", "duration": 7, "seed": 1}),
    *bodies("POST", "/v1/kling-9", {}),
    *bodies("POST", "/v2/kling-9", {}),
    ("GET", "/v1/kling-2", None),
    ("GET", "/v2/requests/job_nobody", None),
    ("GET", "/v2/requests/job_nobody/status", None),
    *bodies(
        "POST",
        f"/api/v1/generateTask/{APIXO}",
        *[b"{", [], {}, {"input": {}}, {"input": {"prompt": "x"}, "colour": 1}],
        *[{"input": {"prompt": "x"}, "request_type": mode} for mode in ("sync", "callback", 1)],
        {"input": {"prompt": "x"}, "request_type": "callback", "callback_url": "ftp://x"},
        {"input": {"prompt": "x"}, "provider": "segmind"},
    ),
    *bodies("POST", "/api/v1/generateTask/kling-9", {}),
    ("GET", f"/api/v1/statusTask/{APIXO}", None),
    ("GET", f"/api/v1/statusTask/{APIXO}?taskId=job_nobody", None),
    ("GET", "/api/v1/statusTask/kling-9?taskId=x", None),
    *bodies(
        "POST",
        "/v1/videos",
        *[b"{", [], {}, {"model": "sora-2", "prompt": "x"}],
        *[{"model": TWO, "prompt": "x"} | more for more in ({"seconds": "4"}, {"size": "1x1"})],
        {"model": TEXT, "prompt": "x", "input_reference": {"image_url": "https://x.example/"}},
        {"model": TWO, "prompt": "x", "input_reference": {"file_id": "x"}, "seed": 1},
        {"model": TWO, "prompt": "x", "callback_url": "ftp://x", "notify": [7]},
    ),
    *[("GET", f"/v1/videos{rest}", None) for rest in ("/job_nobody", "?order=x", "?limit=0")],
    ("GET", "/v1/videos/<UNKNOWN>/content", None),
    ("DELETE", "/v1/videos/<UNKNOWN>", None),
    ("POST", "/v1/videos/<JOB>/remix", {"prompt": "x"}),
    ("PUT", "/v1/videos", {}),
]
#: Headers besides the usual ones, with a call that they spoil.
WITH_HEADERS: list[tuple[dict[str, str], Call]] = [
    ({"x-api-key": ""}, ("GET", "/v1/me", None)),
    ({"x-api-key": "clb_wrong"}, ("GET", "/v1/me", None)),
    ({"x-api-key": ""}, ("POST", "/v2/kling-2", {"prompt": "x"})),
    ({"x-api-key": ""}, ("POST", f"/api/v1/generateTask/{APIXO}", {})),
    ({"Content-Type": "text/plain"}, ("POST", "/v1/jobs", b"{}")),
    ({"Content-Type": "text/plain"}, ("POST", "/v1/kling-2", b"{}")),
    ({"Content-Type": "text/plain"}, ("POST", f"/api/v1/generateTask/{APIXO}", b"{}")),
    ({"Idempotency-Key": ""}, ("POST", "/v1/jobs", GOOD)),
    ({"Idempotency-Key": "x" * 256}, ("POST", "/v1/jobs", GOOD)),
    ({"Idempotency-Key": "one"}, ("POST", "/v1/jobs", GOOD)),
    ({"Idempotency-Key": "one"}, ("POST", "/v1/jobs", GOOD | {"metadata": {"a": 1}})),
]


def test_golden_refusals(client: FlaskClient, harness: Harness, rows: dict[str, str]) -> None:
    """Each refusal's status, code, pointer and sentence."""
    found = []
    for call in REFUSALS:
        type_ = JSON if isinstance(call[2], bytes) else {}
        found.append(row_of(call, called(client, rows, call, **type_)))
    for headers, call in WITH_HEADERS:
        answer = called(client, rows, call, **headers)
        shown = json.dumps({name: value[:20] for name, value in headers.items()})
        found.append(f"{shown} {row_of(call, answer)}")
    with harness.db.write() as tx:
        reader = create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
    for call in [*bodies("POST", "/v1/jobs", GOOD), ("GET", "/v1/providers", None)]:
        found.append(f"reader: {row_of(call, called(client, rows, call, **{'x-api-key': reader}))}")

    golden.check("refusals.txt", "\n".join(found))

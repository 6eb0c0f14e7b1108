"""
What every provider's adapter promises.

The adapters are those of the catalogue's vendors, with the models that these sell, and the
sandbox is each one's vendor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.harness import NOON
from support.reach import access
from support.sandboxes import Receiver, SandboxClient, start_sandbox
from support.servers import eventually, free_port
from support.serving import QuietHandler, Served

from service.catalogue.models import VENDORS
from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import Job, Outcome, TaskState, utc_now
from service.model.error_codes import FAILURES
from service.outbound.client import Outbound
from service.providers import Provider, make_provider
from service.settings import load_settings
from service.storage import FileStorage

SETTINGS = load_settings({}, secret_keys="k" * 40)
KEY = "key-that-nobody-may-see"
CALLBACK = "http://127.0.0.1:9/callbacks/token-that-nobody-may-see"


@dataclass(frozen=True)
class Parts:
    """What adapters are made of."""

    outbound: Outbound
    answers: FileStorage


@dataclass(frozen=True)
class Adapter:
    """One entry: whose models it takes, and with which settings."""

    provider: str
    settings: tuple[tuple[str, str], ...] = ()
    keeps_records: bool = True

    def make(self, parts: Parts, url: str, seconds: float) -> Provider:
        """The adapter for an origin and a time limit."""
        folder, settings = parts.answers.folder, dict(self.settings)
        settings |= {"videos_models": "own"}
        reach = access(parts.outbound, url, KEY, seconds, folder, **settings)
        return make_provider(self.provider, reach)


#: Every vendor of the catalogue; Segmind's older version besides.
ADAPTERS = {name: Adapter(name) for name in VENDORS} | {
    "segmind v1": Adapter("segmind", (("segmind_api", "v1"),), keeps_records=False)
}
#: Bodies that a vendor, a proxy or a prankster may send.
NONSENSE = [
    b"",
    b"[]",
    b"{}",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"code": 200, "data": {"taskId": 7, "state": 7}}',
    b'{"code": 200, "data": {"taskId": null, "state": {}, "resultJson": []}}',
    b'{"code": 200, "data": {"state": "success", "resultJson": "\\ud800"}}',
    b'{"code": 200, "data": {"state": "success", "resultJson": "{\\"resultUrls\\": 7}"}}',
    b'{"code": 200, "data": {"state": "failed", "failCode": 7, "failMsg": ["x"]}}',
    b'{"request_id": 7, "status": ["COMPLETED"], "output": 7}',
    b'{"status": "COMPLETED", "output": {"a": {"b": [7, null]}}}',
    b'{"status": "COMPLETED", "output": "file:///etc/passwd", "metrics": {"cost": "x"}}',
    b'{"status": "FAILED", "error": {"a": 1}, "metrics": {"cost": true}}',
    b'{"code": ' + b"9" * 5000 + b"}",
]


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter in turn."""
    return ADAPTERS[request.param]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Real collaborators over a folder."""
    outbound = Outbound(["127.0.0.0/8"])
    yield Parts(outbound, FileStorage(tmp_path))
    outbound.close()


@pytest.fixture
def vendor(adapter: Adapter, parts: Parts, sandbox: SandboxClient) -> Provider:
    """The adapter before the sandbox."""
    return adapter.make(parts, sandbox.server.url, 20.0)


def jobs(adapter: Adapter, prompt: str = "A fox") -> list[Job]:
    """A job for each of the provider's models, as it would be planned."""
    made = []
    for model in VENDORS[adapter.provider].models:
        body = {"model": model.slug, "input": {"prompt": prompt, "duration": 5}}
        asked = check_request(body, {}, Market({adapter.provider}, {}, NOON.date()))
        made.append(planned_job(SETTINGS, "acc", asked, NOON))
    return made


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """All names in a body with their values, however deep."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield name, inner
        yield from pairs(inner)


def tasks(sandbox: SandboxClient) -> int:
    """How many the vendor has made so far."""
    return len(sandbox.server.renderer.book.all())


#: What Kling answers where it has no task of an id.
NOTHING = b'{"code": 0, "data": []}'


class Scripted(Served):
    """A vendor that answers everything with one status and body; `found` to lookups, if given."""

    def __init__(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, found: bytes = b""
    ) -> None:
        self.hits, self.body = 0, body
        scripted = self

        class Handler(QuietHandler):
            def _answer(self) -> None:
                scripted.hits += 1
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(scripted.body)))
                self.end_headers()
                self.wfile.write(scripted.body)

            do_POST = _answer

            def do_GET(self) -> None:
                if not found:
                    self._answer()
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(found)))
                self.end_headers()
                self.wfile.write(found)

        self.serve(Handler)
        self.url = self.origin


class Turns(Served):
    """A vendor that gives one body after the other, with 200 unless `statuses` say otherwise."""

    def __init__(self, bodies: list[bytes], statuses: tuple[int, ...] = ()) -> None:
        left = [*statuses]

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                body = bodies.pop(0)
                self.send_response(left.pop(0) if left else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.serve(Handler)


def test_request_is_only_shown(adapter: Adapter, vendor: Provider, sandbox: SandboxClient) -> None:
    """The wire request names the price-making duration, hides its key, and sends nothing."""
    before = tasks(sandbox)
    for job in jobs(adapter):
        request = vendor.request_for(job, CALLBACK)
        report = dict(pairs(request.body))

        assert ("5", "A fox") == (
            str(report.get("duration", report.get("seconds"))),
            report["prompt"],
        )
        assert request.url.startswith(sandbox.server.url)
        assert KEY in str(request.headers)
        assert KEY not in json.dumps(request.masked())
    assert before == tasks(sandbox)


def test_no_callback_in_pull_mode(adapter: Adapter, vendor: Provider) -> None:
    """Without a callback URL of ours the request names none, not even a blank one."""
    for job in jobs(adapter):
        request = vendor.request_for(job, "")
        names = [name.lower() for name, _ in pairs(request.body)]

        assert [] == [name for name in names if "callback" in name or "webhook" in name]
        assert "webhook" not in request.url


def test_walk(adapter: Adapter, vendor: Provider, sandbox: SandboxClient, parts: Parts) -> None:
    """Every model: one create call, one task, and in the end a video."""
    for job in jobs(adapter):
        before = tasks(sandbox)
        submission = vendor.submit(job, CALLBACK)
        sent = replace(job, task_id=submission.task_id)
        if adapter.keeps_records:
            sandbox.ended(submission.task_id)
        found = submission.outcome or vendor.fetch(sent)

        assert 1 == tasks(sandbox) - before
        assert TaskState.SUCCEEDED is found.state
        if found.result_file:
            assert b"ftyp" == parts.answers.path(found.result_file).read_bytes()[4:8]
        else:
            headers = vendor.headers() if found.is_private else {}
            assert 200 == sandbox.call("GET", found.result_url or "", headers=headers).status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 429])
def test_refused(adapter: Adapter, vendor: Provider, sandbox: SandboxClient, status: int) -> None:
    """The vendor's no is a no in our vocabulary: no task, and the same call is not made again."""
    for job in jobs(adapter, f"[refuse {status}] A fox"):
        before = tasks(sandbox)
        with pytest.raises(Refused) as caught:
            vendor.submit(job, CALLBACK)

        assert caught.value.code in FAILURES
        assert str(status) == caught.value.provider_code
        assert KEY not in str(caught.value) + repr(caught.value)
        assert before == tasks(sandbox)


@pytest.mark.parametrize("orders", ["drop", "hang"])
def test_broken_off(adapter: Adapter, parts: Parts, sandbox: SandboxClient, orders: str) -> None:
    """After the request was sent, no answer is never taken for a no."""
    job = jobs(adapter, f"[{orders}] A fox")[0]
    before = tasks(sandbox)
    with pytest.raises(Unanswered):
        adapter.make(parts, sandbox.server.url, 1.0).submit(job, CALLBACK)

    assert 1 == tasks(sandbox) - before


def test_nobody_there(adapter: Adapter, parts: Parts) -> None:
    """What was never sent is refused, so that it may be sent later."""
    nowhere = adapter.make(parts, f"http://127.0.0.1:{free_port()}", 1.0)
    for job in jobs(adapter):
        with pytest.raises(Refused) as caught:
            nowhere.submit(job, CALLBACK)
        assert "PROVIDER_UNAVAILABLE" == caught.value.code
        with pytest.raises(Unanswered if adapter.keeps_records else ProviderError):
            nowhere.fetch(replace(job, task_id="x"))


@pytest.mark.parametrize("task_id", ["f" * 32, "../../x?y=1#z", "ü \x00 %"])
def test_unknown_task(adapter: Adapter, vendor: Provider, task_id: str) -> None:
    """A task that is not there is said not to be, whatever its name looks like."""
    with pytest.raises(ProviderError) as caught:
        vendor.fetch(replace(jobs(adapter)[0], task_id=task_id))

    if adapter.keeps_records:
        assert "NOT_FOUND_TASK" == caught.value.code


def test_nonsense_in_a_callback(vendor: Provider) -> None:
    """A body that says nothing is a ProviderError or an outcome, and no success without a link."""
    for body in NONSENSE:
        try:
            found = vendor.parse(body)
        except ProviderError:
            continue
        assert isinstance(found, Outcome)
        assert (found.result_url or "http").startswith("http")


def answers(provider: Provider, job: Job) -> None:
    """Both calls end as they may: in a value, or in an error of ours that is no refusal."""
    with suppress(Unanswered):
        assert provider.submit(job, CALLBACK).task_id
    with suppress(ProviderError):
        assert isinstance(provider.fetch(replace(job, task_id="x")), Outcome)


@pytest.mark.parametrize("status", [200, 202, 302, 408, 502, 504])
def test_nonsense_in_an_answer(adapter: Adapter, parts: Parts, status: int) -> None:
    """No such answer to a create call is a no; none to a question is anything but an outcome."""
    job = jobs(adapter)[0]
    with Scripted(status, b"") as scripted:
        provider = adapter.make(parts, scripted.url, 5.0)
        for number, body in enumerate(NONSENSE):
            scripted.body, scripted.hits = body, 0
            try:
                answers(provider, job)
            except Exception as error:
                raise AssertionError(f"body {number}: {error!r}") from error
            assert scripted.hits <= 3


OWN_WORDS = b'{"code": 500, "message": "Internal error", "error": "Internal Server Error"}'


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599])
def test_5xx_of_any_body(adapter: Adapter, parts: Parts, status: int) -> None:
    """An error is no refusal, also in the vendor's own words: the task may have been made."""
    job = jobs(adapter)[0]
    codes = {}
    with Scripted(status, b"") as scripted:
        provider = adapter.make(parts, scripted.url, 5.0)
        for body in (b"", b"<html>", b"busy", b"{}", b"[]", OWN_WORDS):
            scripted.body = body
            with pytest.raises(Unanswered) as caught:
                provider.submit(job, CALLBACK)
            codes[body] = caught.value.code

    assert dict.fromkeys(codes, "SUBMIT_FAILED_UNKNOWN") == codes


@pytest.mark.parametrize("status", [408, 409, 421, 423, 424, 425, 428, 451, 499])
def test_4xx_that_is_no_refusal(adapter: Adapter, parts: Parts, status: int) -> None:
    """Statuses that no vendor documents for a create may follow a request that was taken."""
    body = b'{"code": %d, "message": "Conflict", "error": "Conflict"}' % status
    with Scripted(status, body) as scripted, pytest.raises(Unanswered) as caught:
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)

    assert "SUBMIT_TIMEOUT_UNKNOWN" == caught.value.code


@pytest.mark.parametrize("status", [307, 308])
def test_redirect_that_keeps_the_method(adapter: Adapter, parts: Parts, status: int) -> None:
    """It asks for the create elsewhere, so that none was made here; it is not followed."""
    with Scripted(status, b"") as scripted, pytest.raises(Refused) as caught:
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)

    assert "MOVED" == caught.value.code
    assert 1 == scripted.hits


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304])
def test_redirect_after_the_work(adapter: Adapter, parts: Parts, status: int) -> None:
    """These are also answered once a form's work is done: nobody may repeat the create."""
    with Scripted(status, b"") as scripted, pytest.raises(Unanswered):
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)

    assert 1 == scripted.hits


@pytest.mark.parametrize("body", [b'{"id": "t1", "task_id": "t1", "request_id": "t1"}'])
def test_redirect_that_names_a_task(adapter: Adapter, parts: Parts, body: bytes) -> None:
    """Whoever names a task has made one, wherever he sends us."""
    with Scripted(308, body) as scripted, pytest.raises(Unanswered):
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 410, 413, 415, 422, 429])
def test_4xx_that_is_a_refusal(adapter: Adapter, parts: Parts, status: int) -> None:
    """What the vendors' pages list, and what HTTP refuses for the request's form, ends it."""
    body = b'{"code": %d, "message": "No", "error": "No"}' % status
    with Scripted(status, body, found=NOTHING) as scripted, pytest.raises(Refused):
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)


MONEY = [
    "User is locked. Reason: Exhausted balance. Top up your balance.",
    "Your credits are insufficient",
    "insufficient account credits",
    "Not enough credits",
    "You are out of credits!",
    "Account balance too low",
    "insufficient_quota: insufficient quota",
]


@pytest.mark.parametrize("status", [400, 403, 422, 429])
def test_no_money_in_other_words(adapter: Adapter, parts: Parts, status: int) -> None:
    """However a vendor says that its account is empty, the provider is held, and says so once."""
    codes = {}
    with Scripted(status, b"", found=NOTHING) as scripted:
        provider = adapter.make(parts, scripted.url, 5.0)
        repeated = f"The prompt is refused by the validator of this model: {'x' * 50} {MONEY[1]}"
        for words in (*MONEY, "balance the camera on a fund-raiser's credit card", repeated):
            said = {"code": status, "message": words, "error": words}
            scripted.body = json.dumps(said).encode()
            with pytest.raises(Refused) as caught:
                provider.submit(jobs(adapter)[0], CALLBACK)
            codes[words] = caught.value.code

    *empty, other, repeated = codes.values()
    assert {"INSUFFICIENT_CREDITS"} == set(empty)
    assert "INSUFFICIENT_CREDITS" not in (other, repeated)


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, b"The prompt is empty\n", "BAD_REQUEST", "The prompt is empty"),
        (400, b'"The prompt is empty"', "BAD_REQUEST", "The prompt is empty"),
        (401, b"Bad key", "AUTH_INVALID", "Bad key"),
        (403, b"blocked by our content policy", "CONTENT_VIOLATION", "blocked by our"),
        (406, b"Invalid content type", "CONTENT_TYPE_BUG", "Invalid content type"),
        (406, b"", "INSUFFICIENT_CREDITS", "HTTP 406"),
        (429, b"error code: 1015", "RATE_LIMITED", "error code: 1015"),
        (400, b"<html><title>Bad</title>", "BAD_REQUEST", "HTTP 400"),
        (400, b"\x1f\x8b\x08\x00", "BAD_REQUEST", "HTTP 400"),
        (400, b"\x1b[31mred\x00", "BAD_REQUEST", "HTTP 400"),
    ],
)
def test_refusal_in_plain_text(
    adapter: Adapter, parts: Parts, status: int, body: bytes, code: str, words: str
) -> None:
    """A sentence says why, as JSON does; a page or bytes say nothing."""
    with Scripted(status, body, found=NOTHING) as scripted, pytest.raises(Refused) as caught:
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)

    assert code == caught.value.code
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    "retry_after", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "-1", "1e9"]
)
@pytest.mark.parametrize("date", ["Thu, 01 Jan 2026 12:00:00 -0000", "yesterday", ""])
def test_odd_retry_after(adapter: Adapter, parts: Parts, retry_after: str, date: str) -> None:
    """However a vendor writes its Retry-After, the refusal arrives as one, with a usable wait."""
    headers = {"Retry-After": retry_after} | ({"Date": date} if date else {})
    body = b'{"code": 429, "message": "Rate limit exceeded", "error": "Rate limit"}'
    with Scripted(429, body, headers) as scripted, pytest.raises(Refused) as caught:
        adapter.make(parts, scripted.url, 5.0).submit(jobs(adapter)[0], CALLBACK)

    assert 0 <= (caught.value.retry_after or 0) < 1e12


LINK = "http://127.0.0.1:9/a.mp4"
RESULT = json.dumps({"resultUrls": [LINK]})
#: What each vendor says of a task that is done: the answer, and where in it the task stands.
SAID: dict[str, tuple[dict[str, Any], tuple[str | int, ...]]] = {
    "apixo": (
        {"code": 200, "data": {"taskId": "", "state": "success", "resultJson": RESULT}},
        ("data",),
    ),
    "segmind": ({"request_id": "", "status": "COMPLETED", "output": LINK}, ()),
    "kling": (
        {"code": 0, "data": [{"id": "", "status": "succeeded", "outputs": [{"url": LINK}]}]},
        ("data", 0),
    ),
    "fal": ({"request_id": "", "status": "COMPLETED", "video": {"url": LINK}}, ()),
    "replicate": ({"id": "", "status": "succeeded", "output": LINK}, ()),
    "kie": (
        {"code": 200, "data": {"taskId": "", "state": "success", "resultJson": RESULT}},
        ("data",),
    ),
    "piapi": (
        {"code": 200, "data": {"task_id": "", "status": "completed", "output": {"video": LINK}}},
        ("data",),
    ),
    "openrouter": ({"id": "", "status": "completed", "unsigned_urls": [LINK]}, ()),
    "videos": ({"id": "", "status": "completed", "url": LINK}, ()),
}


def said(adapter: Adapter, task_id: Any, **more: Any) -> bytes:
    """What the vendor says of a task that is done, with some of it changed."""
    sample, path = SAID[adapter.provider]
    whole: Any = json.loads(json.dumps(sample))
    task = whole
    for step in path:
        task = task[step]
    own_name = next(name for name, value in task.items() if value == "")
    # Only the words that the vendor has for a state.
    task |= {own_name: task_id} | {name: word for name, word in more.items() if name in task}
    return json.dumps(whole).encode()


def ask(adapter: Adapter, parts: Parts, body: bytes, status: int = 200) -> Outcome:
    """Ask a vendor that answers this about task `ab12`."""
    with Scripted(status, body) as scripted:
        job = replace(jobs(adapter)[0], task_id="ab12")
        return adapter.make(parts, scripted.url, 5.0).fetch(job)


@pytest.fixture(params=[name for name, adapter in ADAPTERS.items() if adapter.keeps_records])
def keeper(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter whose vendor can be asked."""
    return ADAPTERS[request.param]


@pytest.mark.parametrize("task_id", ["ab12", " ab12 ", None, "", ["ab12"]])
def test_answer_about_our_task(keeper: Adapter, parts: Parts, task_id: Any) -> None:
    """The request named the task: an answer about it, or about no task by name, is ours."""
    found = ask(keeper, parts, said(keeper, task_id))

    assert (TaskState.SUCCEEDED, "http://127.0.0.1:9/a.mp4") == (found.state, found.result_url)


@pytest.mark.parametrize("task_id", ["other", "AB12", "ab12x", 12, 0])
@pytest.mark.parametrize("state", [{}, {"state": "failed", "status": "FAILED"}])
def test_answer_about_another_task(
    keeper: Adapter, parts: Parts, task_id: Any, state: dict[str, str]
) -> None:
    """Another task's video or failure is never taken for ours."""
    with pytest.raises(WrongTask) as caught:
        ask(keeper, parts, said(keeper, task_id, **state))

    assert f"task {task_id} instead of ab12" in caught.value.message


def test_answer_about_another_task_by_another_name(parts: Parts) -> None:
    """However the other task is named, and however deep."""
    body = {"code": 200, "data": {"state": "success", "videoUrl": "http://127.0.0.1:9/a.mp4"}}
    for named in ({"task_id": "x"}, {"id": "x"}, {"recordId": "x"}, {"task": {"taskId": "x"}}):
        wrapped = body | {"data": {**body["data"], **named}}  # type: ignore[dict-item]
        with pytest.raises(WrongTask):
            ask(ADAPTERS["apixo"], parts, json.dumps(wrapped).encode())


def test_number_for_an_id(keeper: Adapter, parts: Parts) -> None:
    """A task id that is a number in the create's answer is the same one in the status."""
    with Scripted(200, said(keeper, 7)) as scripted:
        provider = keeper.make(parts, scripted.url, 5.0)
        submission = provider.submit(jobs(keeper)[0], CALLBACK)
        found = provider.fetch(replace(jobs(keeper)[0], task_id=submission.task_id))

    assert ("7", TaskState.SUCCEEDED) == (submission.task_id, found.state)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "200", "message": "success", "data": {"taskId": "ab12"}},
        {"code": 0, "data": {"task_id": "ab12"}},
        {"code": "0", "msg": "ok", "data": {"id": "ab12"}},
        {"data": {"recordId": "ab12"}},
        {"code": 200, "data": {"data": {"taskId": "ab12"}}},
        {"code": 200, "data": [{"taskId": "ab12"}]},
        {"code": 200, "data": json.dumps({"taskId": "ab12"})},
        {"code": 200, "data": "ab12cd34"},
        {"taskId": "ab12"},
        [{"taskId": "ab12"}],
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_forms_of_a_creation(parts: Parts, body: Any, status: int) -> None:
    """A task that APIXO or a relative of it made is known, in whatever form it is named."""
    with Scripted(status, json.dumps(body).encode()) as scripted:
        provider = ADAPTERS["apixo"].make(parts, scripted.url, 5.0)
        task_id = provider.submit(jobs(ADAPTERS["apixo"])[0], CALLBACK).task_id

    assert task_id.startswith("ab12")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"code": 429, "message": "busy", "data": {"taskId": "ab12"}}),
        (402, {"code": 402, "message": "no credits", "data": {"task_id": 7}}),
        (400, {"message": "bad", "data": {"taskId": "ab12"}}),
        (500, {"code": 500, "message": "no", "data": {"taskId": "ab12"}}),
    ],
)
def test_refusal_that_names_a_task(parts: Parts, status: int, body: Any) -> None:
    """A no that names a task is no certain no: it waits for a person, who reads the id."""
    job = jobs(ADAPTERS["apixo"])[0]
    with Scripted(status, json.dumps(body).encode()) as scripted, pytest.raises(Unanswered) as no:
        ADAPTERS["apixo"].make(parts, scripted.url, 5.0).submit(job, CALLBACK)

    assert "SUBMIT_TIMEOUT_UNKNOWN" == no.value.code
    assert "the answer names task" in no.value.message


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"code": "404", "message": "Task not found"}, "NOT_FOUND_TASK"),
        (404, {"message": "Task not found"}, "NOT_FOUND_TASK"),
        (404, {"code": 404, "data": {"taskId": "ab12"}}, "NOT_FOUND_TASK"),
        (200, {"code": "401", "msg": "who are you"}, "AUTH_INVALID"),
        (200, {"code": 200, "message": "success", "data": None}, "PROVIDER_UNAVAILABLE"),
        (200, {"code": 200, "message": "success", "data": {}}, "PROVIDER_UNAVAILABLE"),
        (404, "<html>", "PROVIDER_UNAVAILABLE"),
    ],
)
def test_questions_without_an_answer(parts: Parts, status: int, body: Any, code: str) -> None:
    """What is no answer about a task says nothing about ours."""
    with pytest.raises(ProviderError) as caught:
        ask(ADAPTERS["apixo"], parts, json.dumps(body).encode(), status)

    assert code == caught.value.code


def test_failure_under_a_refusing_code(parts: Parts) -> None:
    """kie.ai reports a failed task under its own code; its reason is not lost."""
    body = {"code": 501, "msg": "no", "data": {"taskId": "ab12", "state": "fail", "failMsg": "x"}}
    found = ask(ADAPTERS["apixo"], parts, json.dumps(body).encode())

    assert (TaskState.FAILED, "x") == (found.state, found.error and found.error.message)


def test_status_in_its_own_charset(parts: Parts) -> None:
    """A vendor's reason arrives as it was written."""
    text = '{"code":200,"data":{"taskId":"ab12","state":"failed","failMsg":"内容审核不通过"}}'
    headers = {"Content-Type": "application/json; charset=gbk"}
    with Scripted(200, text.encode("gbk"), headers) as scripted:
        job = replace(jobs(ADAPTERS["apixo"])[0], task_id="ab12")
        found = ADAPTERS["apixo"].make(parts, scripted.url, 5.0).fetch(job)

    assert "内容审核不通过" == (found.error and found.error.message)


def test_bare_output(parts: Parts) -> None:
    """Once Segmind's status says COMPLETED, its result needs no state of its own."""
    bodies = [
        {"status": "completed", "request_id": "ab12"},
        {"video": {"url": "http://127.0.0.1:9/a.mp4"}},
    ]
    with Turns([json.dumps(body).encode() for body in bodies]) as vendor:
        job = replace(jobs(ADAPTERS["segmind"])[0], task_id="ab12")
        found = ADAPTERS["segmind"].make(parts, vendor.origin, 5.0).fetch(job)

    assert (TaskState.SUCCEEDED, "http://127.0.0.1:9/a.mp4") == (found.state, found.result_url)


def test_result_of_another_task(parts: Parts) -> None:
    """The result is bound to the task as its status is."""
    bodies = [{"status": "COMPLETED"}, {"request_id": "x", "output": "http://127.0.0.1:9/a.mp4"}]
    with Turns([json.dumps(body).encode() for body in bodies]) as vendor:
        job = replace(jobs(ADAPTERS["segmind"])[0], task_id="ab12")
        with pytest.raises(WrongTask):
            ADAPTERS["segmind"].make(parts, vendor.origin, 5.0).fetch(job)


def fal(parts: Parts, *bodies: Any, result: int = 200) -> Outcome:
    """What fal's adapter makes of these answers in turn, about task `ab12`."""
    with Turns([json.dumps(body).encode() for body in bodies], (200, result)) as vendor:
        job = replace(jobs(ADAPTERS["fal"])[0], task_id="ab12")
        return ADAPTERS["fal"].make(parts, vendor.origin, 5.0).fetch(job)


@pytest.mark.parametrize("name", ["message", "msg", "detail"])
def test_remark_on_a_task_that_is_done(parts: Parts, name: str) -> None:
    """A word besides a status is no failure: the result is asked for."""
    status = {"status": "COMPLETED", "request_id": "ab12", name: "Request completed"}
    found = fal(parts, status, {"video": {"url": LINK}})

    assert (TaskState.SUCCEEDED, LINK) == (found.state, found.result_url)


def test_result_that_is_not_there_yet(parts: Parts) -> None:
    """That it is still being made is no failure, under whatever status."""
    with pytest.raises(ProviderError):
        fal(parts, {"status": "COMPLETED"}, {"detail": "Request is still in progress"}, result=400)


def test_result_that_is_refused(parts: Parts) -> None:
    """The reason for which the task failed stands in its result, with its type."""
    detail = [{"loc": ["body"], "msg": "flagged", "type": "content_policy_violation"}]
    error = fal(parts, {"status": "COMPLETED"}, {"detail": detail}, result=422).error

    assert error is not None
    assert ("CONTENT_VIOLATION", "flagged") == (error.code, error.message)


def test_error_of_a_task_that_is_done(parts: Parts) -> None:
    """An error is one, and its type is kept."""
    failed = {"status": "COMPLETED", "error": "boom", "error_type": "generation_timeout"}
    error = fal(parts, failed).error

    assert error is not None
    assert ("PROCESSING_TIMEOUT", "boom") == (error.code, error.message)


@pytest.mark.parametrize("code", ["0", 0, 0.0])
def test_lookup_that_finds_nothing(parts: Parts, code: Any) -> None:
    """Kling's code counts as number and as text."""
    body = json.dumps({"code": code, "data": []}).encode()
    with pytest.raises(Refused) as caught:
        ask(ADAPTERS["kling"], parts, body)

    assert "NOT_FOUND_TASK" == caught.value.code


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1002, "AUTH_INVALID"),
        ("1102", "INSUFFICIENT_CREDITS"),
        (1103, "FORBIDDEN"),
        (1201, "BAD_REQUEST"),
        (1301, "CONTENT_VIOLATION"),
        (1303, "CONCURRENCY_LIMIT"),
        (5001, "PROVIDER_UNAVAILABLE"),
    ],
)
def test_own_code_under_200(parts: Parts, number: Any, code: str) -> None:
    """Kling's no is one where a gateway says 200, and is sent again when it says so."""
    body = json.dumps({"code": number, "message": "no", "data": None}).encode()
    headers = {"Retry-After": "7"}
    with Scripted(200, body, headers, found=NOTHING) as scripted, pytest.raises(Refused) as caught:
        ADAPTERS["kling"].make(parts, scripted.url, 5.0).submit(jobs(ADAPTERS["kling"])[0], "")

    assert (code, 7.0) == (caught.value.code, caught.value.retry_after)


@pytest.mark.parametrize("number", [1200, 1201])
def test_own_code_for_an_id_that_is_taken(parts: Parts, number: int) -> None:
    """What looks like a second create is looked up, under 200 as under 400."""
    job = jobs(ADAPTERS["kling"])[0]
    found = {"code": 0, "data": [{"id": "t1", "external_id": job.id, "status": "submitted"}]}
    body = json.dumps({"code": number, "message": "no"}).encode()
    with Scripted(200, body, found=json.dumps(found).encode()) as scripted:
        assert "t1" == ADAPTERS["kling"].make(parts, scripted.url, 5.0).submit(job, "").task_id


@pytest.mark.parametrize("number", [0, 1500, 5000, 5002, None])
def test_other_codes_under_200(parts: Parts, number: Any) -> None:
    """A code that may follow a task that was made is no certain no."""
    body = json.dumps({"code": number, "message": "hm", "data": None}).encode()
    with Scripted(200, body, found=NOTHING) as scripted, pytest.raises(Unanswered):
        ADAPTERS["kling"].make(parts, scripted.url, 5.0).submit(jobs(ADAPTERS["kling"])[0], "")


@pytest.mark.parametrize(
    "body", [{"data": {"id": "v1"}}, {"video": {"id": "v1"}}, {"video_id": "v1"}, {"task_id": "v1"}]
)
def test_create_of_ones_own_server(parts: Parts, body: Any) -> None:
    """A video that was made is known by its id, wherever its server names that."""
    with Scripted(200, json.dumps(body).encode()) as scripted:
        provider = ADAPTERS["videos"].make(parts, scripted.url, 5.0)

        assert "v1" == provider.submit(jobs(ADAPTERS["videos"])[0], CALLBACK).task_id


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(params=[name for name, v in VENDORS.items() if v.models[0].calls_back])
def caller(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter whose vendor calls back."""
    return ADAPTERS[request.param]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A sandbox whose vendors sign."""
    folder = tmp_path_factory.mktemp("signing")
    with start_sandbox(folder, credits=1e6, webhook_secret=SECRET) as server:
        yield SandboxClient(server)


def called_back(provider: Provider, job: Job) -> tuple[str, dict[str, str], bytes]:
    """The task, and the last callback about it: headers and body."""
    with Receiver() as receiver:
        task_id = provider.submit(job, receiver.url).task_id
        eventually(lambda: any(LAST_WORD.search(body) for body in receiver.bodies))
        return task_id, receiver.headers[-1], receiver.bodies[-1]


#: In the last callback of each vendor.
LAST_WORD = re.compile(rb"\"(success|succeed(ed)?|completed|OK)\"", re.I)


def test_callback_says_the_end(caller: Adapter, parts: Parts, sandbox: SandboxClient) -> None:
    """The vendor's callback, read alone, names the task and its video."""
    provider = caller.make(parts, sandbox.server.url, 20.0)
    task_id, _, body = called_back(provider, jobs(caller)[0])
    found = provider.parse(body)

    assert (TaskState.SUCCEEDED, task_id) == (found.state, found.task_id)
    assert task_id in found.candidates
    assert 200 == sandbox.call("GET", found.result_url or "").status


def test_callback_that_is_signed(caller: Adapter, parts: Parts, signing: SandboxClient) -> None:
    """The vendor's signature is good; with another secret, or none, it is not."""
    url = signing.server.url

    def made(secret: str) -> Provider:
        reach = access(parts.outbound, url, KEY, 20.0, webhook_secret=secret)
        return make_provider(caller.provider, replace(reach, clock=utc_now))

    provider = made(SECRET)
    if provider.scheme is None:
        assert caller.provider == "apixo"
        return
    _, headers, body = called_back(provider, jobs(caller)[0])
    other = made("whsec_" + "b3RoZXI=").scheme

    assert provider.scheme.fault(headers, body, utc_now()) is None
    assert provider.scheme.fault({}, body, utc_now())
    if VENDORS[caller.provider].signs:
        assert other is not None
        assert other.fault(headers, body, utc_now())


def test_secrets_in_a_body_are_not_shown(caller: Adapter, parts: Parts) -> None:
    """Where a create brings a secret along, a dry run hides it."""
    reach = access(parts.outbound, "http://127.0.0.1:9", KEY, webhook_secret=SECRET)
    request = make_provider(caller.provider, reach).request_for(jobs(caller)[0], CALLBACK)

    assert SECRET not in json.dumps(request.masked())

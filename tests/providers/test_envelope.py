"""Envelopes: what real task APIs and their gateways say, in every form, means the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import TaskState
from service.providers.apixo import VOCABULARY
from service.providers.envelope import RUNNING_WORDS, SYNONYMS, Envelope, Vocabulary
from service.providers.segmind_v2 import VOCABULARY as SEGMIND

VIDEO = "https://cdn.example/a.mp4"
RESULT = json.dumps({"resultUrls": [VIDEO]})


def read(body: Any, words: Vocabulary = VOCABULARY, wanted: str | None = "t1") -> Envelope:
    """The body as an envelope."""
    return Envelope(body, words, wanted, "https://api.example")


def about(**data: Any) -> dict[str, Any]:
    """APIXO's envelope of our task."""
    return {"code": 200, "message": "success", "data": {"taskId": "t1"} | data}


@pytest.mark.parametrize(
    "body",
    [
        about(),
        about(taskId=" t1 "),
        {"code": 200, "data": {"task_id": "t1"}},
        {"code": 200, "data": {"id": "t1"}},
        {"code": 200, "data": {"recordId": "t1"}},
        {"code": 200, "data": {"requestId": "t1"}},
        {"code": 200, "data": {"id": 42, "taskId": "t1"}},
        {"code": 200, "data": {"task": {"id": "t1"}}},
        {"code": 200, "data": {"data": {"taskId": "t1"}}},
        {"code": 200, "data": json.dumps({"taskId": "t1"})},
        {"code": 200, "data": [{"taskId": "t1"}]},
        {"code": 200, "data": [{"taskId": "t0"}, {"taskId": "t1"}]},
        {"code": 200, "data": {"tasks": [{"taskId": "t0"}, {"taskId": "t1"}]}},
        {"code": 200, "data": {"list": [{"taskId": "t1"}]}},
        {"code": 200, "data": {"uuid": "t1"}},
        {"code": 200, "result": {"taskId": "t1"}},
        {"output": {"task_id": "t1", "task_status": "PENDING"}, "request_id": "r1"},
        {"taskId": "t1", "response": {"taskId": "t2"}},
        {"taskId": "t1"},
        {"id": "t1"},
        [{"taskId": "t1"}],
        json.dumps(about()),
    ],
)
def test_where_the_task_is_named(body: Any) -> None:
    """Under each of its names, in a wrapper or not, in a list or as JSON text."""
    assert "t1" == read(body).task_id


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 200, "data": {"taskId": 7}}, "7"),
        ({"code": 200, "data": "ab12cd34"}, "ab12cd34"),
        ({"code": 200, "data": ["ab12cd34"]}, "ab12cd34"),
        ({"code": 200, "data": {"task": "ab12cd34"}}, "ab12cd34"),
        ({"code": 200, "data": {"taskIds": ["ab12cd34"]}}, "ab12cd34"),
        ({"code": 200, "result": "ab12cd34"}, "ab12cd34"),
        ({"code": 200, "data": ["ab12cd34", "ab12cd35"]}, None),
        ({"state": "success", "result": "ab12cd34"}, None),
        ({"code": 200, "data": "created"}, None),
        ({"code": 200, "requestId": "trace", "data": None}, None),
        ({"code": 200, "data": {"taskId": ""}}, None),
        ({"taskId": "t1", "state": "success", "data": {"taskId": "t2", "state": "x"}}, "t1"),
        ({"taskId": "t0", "state": "success", "data": {"taskId": "t2", "state": "x"}}, "t2"),
    ],
)
def test_other_ids(body: Any, expected: str | None) -> None:
    """A number and a bare text are ids; the trace of a request is none."""
    assert expected == read(body).task_id


@pytest.mark.parametrize(
    ("code", "accepted"),
    [
        *((200, True), ("200", True), (0, True), ("0", True), (" 200 ", True), (201, True)),
        *((202, True), ("204", True), (299, True), (300, False), ("199", False), (1, False)),
        *((200.0, True), ("200.0", True), (0.0, True)),
        *((400, False), ("429", False), (-1, False), (1201, False)),
        *((400.0, False), ("402.00", False), (500.0, False)),
        *((None, True), ("", True), (True, True)),
    ],
)
def test_codes(code: Any, accepted: bool) -> None:
    """A code counts as number and as text; without one the HTTP status decides."""
    assert accepted == read({"code": code, "data": {"taskId": "t1"}}).accepts(200)
    assert read({"data": {"taskId": "t1"}}).accepts(201)
    assert not read({"data": {"taskId": "t1"}}).accepts(500)


def test_code_within() -> None:
    """A refusal in a wrapped answer is one; a number of the task itself is none."""
    refused = read({"code": 200, "data": {"code": 500, "msg": "busy"}})
    named = read({"code": 200, "data": {"code": 1, "taskId": "t1"}})

    assert (500, None) == (refused.refusal, named.refusal)


@pytest.mark.parametrize("word", sorted(SYNONYMS))
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, " {} ".format])
def test_ends(word: str, spell: Any) -> None:
    """Every known word for an end counts in any case; kie.ai's flag too."""
    name, _, value = word.rpartition("successflag_")
    data = {"successFlag": value} if word.startswith("successflag") else {"state": spell(word)}
    found = read(about(**data, resultJson=RESULT)).outcome()
    assert name == "" or word == name

    assert (SYNONYMS[word], True) == (found.state, found.is_understood)
    assert (VIDEO if found.state is TaskState.SUCCEEDED else None) == found.result_url


@pytest.mark.parametrize("word", [*sorted(RUNNING_WORDS - {"successflag_0"}), "processing_r2"])
def test_known_words_on_the_way(word: str) -> None:
    """A task on its way is no remark worth."""
    found = read(about(state=word.upper())).outcome()

    assert (TaskState.RUNNING, "") == (found.state, found.remark)


@pytest.mark.parametrize(
    "state", ["dreaming", "ready", "finish", "rejected", "not found", "failed soon", 99]
)
def test_unknown_words(state: Any) -> None:
    """A state that we don't know ends nothing, even beside a link, and is shown as it was said."""
    found = read(about(state=state, msg="warming up", resultJson=RESULT)).outcome()

    assert (TaskState.RUNNING, None) == (found.state, found.result_url)
    assert repr(str(state)) in found.remark
    assert "warming up" in found.remark


def test_whole_numbers_as_fractions() -> None:
    """A flag that a gateway writes as 2.0 is the word 2, and so is a code for a failure."""
    found = read(about(successFlag=2.0, failCode=500.0)).outcome()

    assert (TaskState.FAILED, "2") == (found.state, found.raw_state)
    assert found.error and "500" == found.error.provider_code


@pytest.mark.parametrize(
    ("said", "cost"),
    [(0.44, 0.44), (1, 1.0), ("0.44", 0.44), (" 1.75 ", 1.75)]
    + [(bad, None) for bad in ("free", "", True, [1], 10**400, "nan", float("inf"))],
)
def test_costs(said: Any, cost: float | None) -> None:
    """A price counts as number and as text; what is neither says nothing."""
    body = {"request_id": "t1", "status": "COMPLETED", "metrics": {"cost": said}}

    assert cost == read(body, SEGMIND).outcome().cost


@pytest.mark.parametrize(
    "state", ["status", "task_status", "taskStatus", "State", "STATE", "successFlag"]
)
def test_names_of_a_state(state: str) -> None:
    """The state stands under several names."""
    word = "1" if state == "successFlag" else "SUCCEEDED"
    assert TaskState.SUCCEEDED is read(about(**{state: word})).outcome().state


def test_state_of_the_request() -> None:
    """What the outermost object says of the request is not said of the task."""
    for word in ("success", "error"):
        found = read({"status": word, "data": {"taskId": "t1"}}).outcome()
        assert (TaskState.RUNNING, "") == (found.state, found.raw_state)
    bare = read({"status": "error", "message": "rate limit"}).outcome()

    assert (TaskState.RUNNING, "rate limit") == (bare.state, bare.message)


def test_result_without_a_state() -> None:
    """A task that has its result is done, though no word says so."""
    found = read(about(resultJson=RESULT)).outcome()

    assert (TaskState.SUCCEEDED, VIDEO, "") == (found.state, found.result_url, found.remark)


@pytest.mark.parametrize(
    "data",
    [
        {"resultJson": RESULT},
        {"resultJson": json.dumps(RESULT)},
        {"resultJson": {"resultUrls": [VIDEO]}},
        {"resultJson": {"resultUrls": VIDEO}},
        {"resultJson": {"resultUrls": json.dumps([VIDEO])}},
        {"resultJson": {"data": {"resultUrls": [VIDEO]}}},
        {"resultJson": [VIDEO]},
        {"resultJson": VIDEO},
        {"resultUrls": [VIDEO]},
        {"result_urls": VIDEO},
        {"resultUrl": VIDEO},
        {"fullResultUrls": [VIDEO]},
        {"response": {"result_urls": [VIDEO]}},
        {"response": json.dumps({"resultUrls": [VIDEO]})},
        {"info": {"resultUrls": json.dumps([VIDEO])}},
        {"resultInfoJson": {"resultUrls": [{"resultUrl": VIDEO}]}},
        {"result": {"videoUrl": VIDEO}},
        {"video_url": VIDEO},
        {"video": {"url": VIDEO}},
        {"videos": [{"url": VIDEO}]},
        {"url": VIDEO},
        {"output": [VIDEO]},
        {"output": {"video_url": VIDEO}},
        {"output": {"works": [{"resource": {"resource": VIDEO}}]}},
        {"works": [{"resource": {"resourceWithoutWatermark": VIDEO, "resource": "https://x/y"}}]},
        {"task_result": {"videos": [{"id": "x", "url": VIDEO, "duration": "5"}]}},
        {"content": {"video_url": VIDEO, "last_frame_url": "https://x/y.png"}},
        {"assets": {"video": VIDEO}},
    ],
)
def test_results(data: dict[str, Any]) -> None:
    """The link in each place where a client of such an API looks for it."""
    asked = json.dumps({"input": {"image_url": "https://x/in.png"}, "callBackUrl": "https://x/cb"})
    assert VIDEO == read(about(state="success", param=asked, **data)).outcome().result_url
    assert (
        VIDEO == read({"code": 0, "taskId": "t1", "state": "success"} | data).outcome().result_url
    )


@pytest.mark.parametrize(
    "data",
    [
        {"failMsg": "it broke"},
        {"fail_msg": "it broke"},
        {"failReason": "it broke"},
        {"errorMessage": "it broke"},
        {"task_status_msg": "it broke"},
        {"message": "it broke"},
        {"msg": " it broke "},
        {"error": "it broke"},
        {"error": {"message": "it broke"}},
        {"error": json.dumps({"error": {"message": "it broke"}})},
        {"error": [{"msg": "it broke"}]},
        {"detail": [{"loc": ["body"], "msg": "it broke"}]},
        {"failMsg": "", "message": "it broke"},
        {"failMsg": None, "error": {"msg": "it broke", "code": 7}},
    ],
)
def test_reasons(data: dict[str, Any]) -> None:
    """Why a task failed, under each name that vendors give it."""
    error = read(about(state="fail", **data)).outcome().error

    assert error is not None
    assert "it broke" == error.message


def test_reason_outside_the_task() -> None:
    """Where the task gives no reason the request's words are taken, but not its "success"."""
    beside = read({"code": 501, "msg": "it broke", "data": {"taskId": "t1", "state": "fail"}})
    nowhere = read(about(state="CANCELLED"))

    assert "it broke" == (beside.outcome().error or nowhere).message
    assert "CANCELLED" in (nowhere.outcome().error or nowhere).message


@pytest.mark.parametrize(
    ("data", "code", "provider_code"),
    [
        ({"failCode": "NSFW_DETECTED"}, "CONTENT_VIOLATION", "NSFW_DETECTED"),
        ({"fail_code": "nsfw"}, "CONTENT_VIOLATION", "nsfw"),
        ({"error": {"code": "PROMPT_TOO_LONG"}}, "PROMPT_TOO_LONG", "PROMPT_TOO_LONG"),
        ({"failCode": 500}, "PROVIDER_ERROR", "500"),
        ({"failMsg": "GENERATION_FAILED: it broke"}, "PROVIDER_ERROR", "GENERATION_FAILED"),
        ({"failMsg": "Sorry: it broke"}, "PROVIDER_ERROR", None),
        ({"failMsg": "Content violates usage policy"}, "CONTENT_VIOLATION", None),
        ({"failMsg": "Failure to pass the risk control system"}, "CONTENT_VIOLATION", None),
        ({"failCode": 400, "failMsg": "NSFW content detected"}, "CONTENT_VIOLATION", "400"),
        ({"failMsg": "could not read the image's content"}, "PROVIDER_ERROR", None),
        ({"error": [{"type": "content_policy_violation"}]}, "CONTENT_VIOLATION", ANY),
        ({"detail": [{"msg": "x", "type": "file_too_large"}]}, "IMAGE_TOO_LARGE", ANY),
        ({}, "PROVIDER_ERROR", None),
    ],
)
def test_fail_codes(data: dict[str, Any], code: str, provider_code: str | None) -> None:
    """The vendor's code is kept, and read where we know it."""
    error = read(about(state="failed", **data)).outcome().error

    assert error is not None
    assert (code, provider_code) == (error.code, error.provider_code)


def test_segmind() -> None:
    """Segmind's own shape: no wrapper, the output under any name, the price in dollars."""
    said: dict[str, Any] = {"request_id": "t1", "status": "COMPLETED"}
    said["metrics"] = {"cost": 0.44, "remaining_credits": 98.5}
    found = read(said | {"output": {"id": "x", "status": "ok", "clip": VIDEO}}, SEGMIND).outcome()

    assert (TaskState.SUCCEEDED, "t1", VIDEO) == (found.state, found.task_id, found.result_url)
    assert (0.44, 98.5) == (found.cost, found.credits_left)


def test_assumed_state() -> None:
    """The bare output of a task that is known to be done needs no state; its own word wins."""
    bare = read({"video": {"url": VIDEO}}, SEGMIND).outcome(TaskState.SUCCEEDED)
    failed = read({"status": "FAILED", "error": "x"}, SEGMIND).outcome(TaskState.SUCCEEDED)

    assert (TaskState.SUCCEEDED, VIDEO) == (bare.state, bare.result_url)
    assert TaskState.FAILED is failed.state


OTHERS = {"taskId": "t0", "state": "success", "videoUrl": "https://cdn.example/other.mp4"}


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": [OTHERS, {"taskId": "t1", "state": "success"}]},
        {"code": 200, "data": [{"taskId": "t1", "state": "success"}, OTHERS]},
        [OTHERS, {"taskId": "t1", "state": "success"}],
        about(state="success", response=OTHERS),
        about(state="success", resultJson=json.dumps({"data": [OTHERS]})),
        about(state="success", result={"videos": [OTHERS]}),
    ],
)
def test_result_of_another_task(body: Any) -> None:
    """A link that stands in another task's object is not the result of ours."""
    found = read(body).outcome()

    assert (TaskState.SUCCEEDED, "t1", None) == (found.state, found.task_id, found.result_url)


@pytest.mark.parametrize(
    "name",
    ["creations", "video_list", "mp4Url", "files", "media", "signed_url", "generated", "asset0"],
)
@pytest.mark.parametrize("put", [lambda link: link, lambda link: [link], lambda link: {"at": link}])
def test_film_under_another_name(name: str, put: Callable[[str], Any]) -> None:
    """A task that is done has its film, whatever that is called; but not what went in."""
    link = "https://cdn.example/a.MP4?sign=x/y&amp;until=1"
    went_in = {
        "webhook": VIDEO,
        "callBackUrl": VIDEO,
        "param": json.dumps({"video": VIDEO}),
        "referVideo": VIDEO,
        "cover_url": VIDEO,
        "page": "https://cdn.example/tasks/t1",
        "preview": "https://cdn.example/a.jpg",
    }
    done = read(about(state="success", **went_in, **{name: put(link)})).outcome()
    nothing = read(about(state="success", **went_in)).outcome()
    without_word = read(about(**went_in, **{name: put(link)})).outcome()

    assert "https://cdn.example/a.MP4?sign=x/y&until=1" == done.result_url
    assert (TaskState.SUCCEEDED, None) == (nothing.state, nothing.result_url)
    assert TaskState.RUNNING is without_word.state


@pytest.mark.parametrize("data", [[VIDEO], VIDEO, [{"url": VIDEO}], [{"cover": 1}, {"url": VIDEO}]])
def test_result_in_the_wrapper(data: Any) -> None:
    """The wrapper may hold nothing but the result."""
    body = {"taskId": "t1", "state": "success", "data": data}

    assert VIDEO == read(body).outcome().result_url


@pytest.mark.parametrize("body", [[VIDEO], VIDEO, [{"url": VIDEO}]])
def test_bare_result(body: Any) -> None:
    """A result may come without any object around it."""
    assert VIDEO == read(body, SEGMIND).outcome(TaskState.SUCCEEDED).result_url
    assert read(body).is_readable
    assert not read(["no link"]).is_readable


def test_complaints() -> None:
    """What the vendor says of a request, from the outside in, each word once."""
    body = {"code": 400, "message": "Invalid", "msg": "Invalid", "data": {"error": "no prompt"}}

    assert "Invalid: no prompt" == read(body).complaint


def test_candidates() -> None:
    """Every id may be the task's: first under the vendor's own name, then under any."""
    body = {
        "event": {"uuid": "u-1", "task_id": "t9"},
        "payload": json.dumps({"jobs": [{"id": 5, "valid": True}], "requestId": "r-1"}),
    }

    assert ("t9", "5", "u-1", "r-1") == read(body).candidates()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["code", "data", "taskId", "state", "resultJson", "error", "id", "url"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([VOCABULARY, SEGMIND]))
def test_any_values(tree: Any, words: Vocabulary) -> None:
    """No body raises; no link is anything but one; a failure has its error."""
    found = read(tree, words).outcome()

    assert (found.result_url or "http").lower().startswith("http")
    assert (found.state is TaskState.FAILED) == (found.error is not None)

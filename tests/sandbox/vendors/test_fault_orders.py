"""Every order to misbehave, seen from the wire."""

from __future__ import annotations

import http.client
import json
import threading

import pytest
from support.sandboxes import APIXO_STATUS, Receiver, Wire, sandbox

from service.sandbox.vendors.fault_orders import FaultOrders


@pytest.mark.parametrize(
    ("text", "orders", "rest"),
    [
        ("A fox [slow 2] runs [lose]", {"slow": "2", "lose": ""}, "A fox runs"),
        ("[refuse 406 Insufficient credits]", {"refuse": "406 Insufficient credits"}, ""),
        ("[unknown-state processing_r2]A", {"unknown-state": "processing_r2"}, "A"),
        ("A [red] fox [slowly]", {}, "A [red] fox [slowly]"),
        ("A fox [slow", {}, "A fox [slow"),
    ],
)
def test_reading(text: str, orders: dict[str, str], rest: str) -> None:
    """Known orders are taken out of the text, any other bracket stays in it."""
    assert (FaultOrders(orders), rest) == FaultOrders.read(text)


@pytest.mark.parametrize("argument", ["", "x", "-1", "nan", "inf", "1e9", "999999"])
def test_number_that_is_none(argument: str) -> None:
    """A number that makes no sense is the default, never a crash."""
    assert 3.0 == FaultOrders({"slow": argument}).number("slow", 3.0)


def test_orders_are_not_in_the_picture(wire: Wire) -> None:
    """What is rendered is the prompt without its orders."""
    task = wire.ended(wire.apixo_task("A fox [html] runs"))

    assert "A fox runs" == task.values["prompt"]


def test_slow(wire: Wire) -> None:
    """The task takes at least so long."""
    task = wire.ended(wire.apixo_task("A fox [slow 0.4]"))

    assert task.completed is not None
    assert task.completed - task.created >= 0.4


@pytest.mark.parametrize(
    ("order", "code"),
    [("fail NSFW_DETECTED", "NSFW_DETECTED"), ("fail Odd", "Odd"), ("fail", "GENERATION_FAILED")],
)
def test_fail(wire: Wire, order: str, code: str) -> None:
    """Any code can be had, with a message for people."""
    data = wire.status(wire.apixo_task(f"A fox [{order}]"))

    assert ("failed", code) == (data["state"], data["failCode"])
    assert data["failMsg"]


@pytest.mark.parametrize(
    ("order", "status", "detail"),
    [
        ("refuse 402", 402, "Insufficient credits"),
        ("refuse 403 Content violates policy", 403, "Content violates policy"),
        ("refuse 500", 500, "Internal server error"),
        ("refuse 503", 503, "Service unavailable"),
        ("refuse 200", 400, "Invalid request"),
        ("refuse", 400, "Invalid request"),
    ],
)
def test_refuse(wire: Wire, order: str, status: int, detail: str) -> None:
    """The create call is refused, and no task exists afterwards."""
    before = len(wire.server.renderer.book.all())
    answer = wire.apixo(f"A fox [{order}]")

    assert (status, detail) == (answer.status, answer.json()["data"]["error"])
    assert before == len(wire.server.renderer.book.all())


def test_refuse_429_says_when(wire: Wire) -> None:
    """A rate limit comes with Retry-After."""
    assert "1" == wire.apixo("A fox [refuse 429]").headers["retry-after"]


def test_lose(wire: Wire) -> None:
    """The task succeeds and nobody is notified."""
    with Receiver() as receiver:
        lost = wire.apixo_task("A fox [lose]", receiver.url)
        wire.apixo_task("A fox", receiver.url)
        receiver.wait_for(1)

    assert "success" == wire.status(lost)["state"]
    assert () == wire.ended(lost).attempts
    assert 1 == len(receiver.bodies)


def test_repeat(wire: Wire) -> None:
    """The same callback comes so many times, byte for byte."""
    with Receiver() as receiver:
        task_id = wire.apixo_task("A fox [repeat 3]", receiver.url)
        wire.when(task_id, lambda task: len(task.attempts) == 3)

    assert 3 == len(receiver.bodies)
    assert 1 == len(set(receiver.bodies))


def test_reorder(wire: Wire) -> None:
    """A late word of the work under way comes after the success."""
    with Receiver() as receiver:
        wire.apixo_task("A fox [reorder]", receiver.url)
        states = [body["data"]["state"] for body in receiver.wait_for(2)]

    assert ["success", "processing"] == states


def test_forge(wire: Wire) -> None:
    """First comes a success of a task that does not exist, then the true one."""
    with Receiver() as receiver:
        task_id = wire.apixo_task("A fox [forge] [fail NSFW]", receiver.url)
        forged, true = (body["data"] for body in receiver.wait_for(2))

    assert (task_id, "failed") == (true["taskId"], true["state"])
    assert "success" == forged["state"]
    assert 404 == wire.call("GET", APIXO_STATUS + forged["taskId"]).status


def test_early(wire: Wire) -> None:
    """The callback has arrived before the create call is answered."""
    with Receiver() as receiver:
        task_id = wire.apixo("A fox [early]", receiver.url).json()["data"]["taskId"]
        arrived = [json.loads(body)["data"]["taskId"] for body in receiver.bodies]

    assert [task_id] == arrived


def test_hang(wire: Wire) -> None:
    """The work is done and called back while the create call never gets its answer."""
    with Receiver() as receiver:
        with pytest.raises(TimeoutError):
            wire.apixo("A fox [hang]", receiver.url, seconds=0.4)
        [called] = receiver.wait_for(1)

    assert "success" == called["data"]["state"]


def test_hang_ends_with_the_sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Closing frees a hanging client, without an answer."""
    outcome: list[BaseException] = []
    with sandbox(tmp_path_factory.mktemp("hang")) as server:
        wire = Wire(server)

        def call() -> None:
            try:
                wire.apixo("A fox [hang]")
            except (OSError, http.client.HTTPException) as error:
                outcome.append(error)

        client = threading.Thread(target=call)
        client.start()
        book = server.renderer.book
        while not book.all():
            book.closing.wait(0.01)
        wire.ended(book.all()[0].id)
    client.join(10)

    assert 1 == len(outcome)


def test_drop(wire: Wire) -> None:
    """The connection breaks without an answer, yet the task is made."""
    before = len(wire.server.renderer.book.all())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        wire.apixo("A fox [drop]")

    [task] = wire.server.renderer.book.all()[before:]
    assert "success" == wire.ended(task.id).state


def test_html(wire: Wire) -> None:
    """The first two polls meet a gateway's page, the third one the truth."""
    task_id = wire.apixo_task("A fox [html]")
    answers = [wire.call("GET", APIXO_STATUS + task_id) for _ in range(3)]

    assert [502, 502, 200] == [answer.status for answer in answers]
    assert answers[0].headers["content-type"].startswith("text/html")


def test_unknown_state(wire: Wire) -> None:
    """The first two polls meet a state from no document."""
    task_id = wire.apixo_task("A fox [unknown-state processing_r2]")
    states = [wire.status(task_id)["state"] for _ in range(3)]

    assert ["processing_r2", "processing_r2", "success"] == states


def test_cut(wire: Wire) -> None:
    """The file breaks off at the first download and is whole at the second."""
    task_id = wire.apixo_task("A fox [cut]")
    with pytest.raises(http.client.IncompleteRead):
        wire.call("GET", f"/files/{task_id}.mp4")
    whole = wire.call("GET", f"/files/{task_id}.mp4")

    assert int(whole.headers["content-length"]) == len(whole.body)


def test_gone(wire: Wire) -> None:
    """The task succeeded, but its file is nowhere."""
    data = wire.status(wire.apixo_task("A fox [gone]"))
    url = json.loads(data["resultJson"])["resultUrls"][0]

    assert 404 == wire.call("GET", url).status


def test_object(wire: Wire) -> None:
    """The result is an object instead of a text."""
    data = wire.status(wire.apixo_task("A fox [object]"))

    assert 1 == len(data["resultJson"]["resultUrls"])


def test_empty(wire: Wire) -> None:
    """A success without anything to show."""
    data = wire.status(wire.apixo_task("A fox [empty]"))

    assert ("success", []) == (data["state"], json.loads(data["resultJson"])["resultUrls"])

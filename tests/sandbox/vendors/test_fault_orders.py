"""Every order to misbehave, seen from the wire."""

from __future__ import annotations

import http.client
import json
import threading

import pytest
from support.sandboxes import APIXO_STATUS, Receiver, SandboxClient, start_sandbox

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


def test_orders_are_not_in_the_picture(sandbox: SandboxClient) -> None:
    """What is rendered is the prompt without its orders."""
    task = sandbox.ended(sandbox.apixo_task("A fox [html] runs"))

    assert "A fox runs" == task.values["prompt"]


def test_slow(sandbox: SandboxClient) -> None:
    """The task takes at least so long."""
    task = sandbox.ended(sandbox.apixo_task("A fox [slow 0.4]"))

    assert task.completed is not None
    assert task.completed - task.created >= 0.4


@pytest.mark.parametrize(
    ("order", "code"),
    [("fail NSFW_DETECTED", "NSFW_DETECTED"), ("fail Odd", "Odd"), ("fail", "GENERATION_FAILED")],
)
def test_fail(sandbox: SandboxClient, order: str, code: str) -> None:
    """Any code can be had, with a message for people."""
    data = sandbox.status(sandbox.apixo_task(f"A fox [{order}]"))

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
def test_refuse(sandbox: SandboxClient, order: str, status: int, detail: str) -> None:
    """The create call is refused, and no task exists afterwards."""
    before = len(sandbox.server.renderer.book.all())
    answer = sandbox.apixo(f"A fox [{order}]")

    assert (status, detail) == (answer.status, answer.json()["data"]["error"])
    assert before == len(sandbox.server.renderer.book.all())


def test_refuse_429_says_when(sandbox: SandboxClient) -> None:
    """A rate limit comes with Retry-After."""
    assert "1" == sandbox.apixo("A fox [refuse 429]").headers["retry-after"]


def test_lose(sandbox: SandboxClient) -> None:
    """The task succeeds and nobody is notified."""
    with Receiver() as receiver:
        lost = sandbox.apixo_task("A fox [lose]", receiver.url)
        sandbox.apixo_task("A fox", receiver.url)
        receiver.wait_for(1)

    assert "success" == sandbox.status(lost)["state"]
    assert () == sandbox.ended(lost).attempts
    assert 1 == len(receiver.bodies)


def test_repeat(sandbox: SandboxClient) -> None:
    """The same callback comes so many times, byte for byte."""
    with Receiver() as receiver:
        task_id = sandbox.apixo_task("A fox [repeat 3]", receiver.url)
        sandbox.when(task_id, lambda task: len(task.attempts) == 3)

    assert 3 == len(receiver.bodies)
    assert 1 == len(set(receiver.bodies))


def test_reorder(sandbox: SandboxClient) -> None:
    """A late word of the work under way comes after the success."""
    with Receiver() as receiver:
        sandbox.apixo_task("A fox [reorder]", receiver.url)
        states = [body["data"]["state"] for body in receiver.wait_for(2)]

    assert ["success", "processing"] == states


def test_forge(sandbox: SandboxClient) -> None:
    """First comes a success of a task that does not exist, then the true one."""
    with Receiver() as receiver:
        task_id = sandbox.apixo_task("A fox [forge] [fail NSFW]", receiver.url)
        forged, true = (body["data"] for body in receiver.wait_for(2))

    assert (task_id, "failed") == (true["taskId"], true["state"])
    assert "success" == forged["state"]
    assert 404 == sandbox.call("GET", APIXO_STATUS + forged["taskId"]).status


def test_early(sandbox: SandboxClient) -> None:
    """The callback has arrived before the create call is answered."""
    with Receiver() as receiver:
        task_id = sandbox.apixo("A fox [early]", receiver.url).json()["data"]["taskId"]
        arrived = [json.loads(body)["data"]["taskId"] for body in receiver.bodies]

    assert [task_id] == arrived


def test_hang(sandbox: SandboxClient) -> None:
    """The work is done and called back while the create call never gets its answer."""
    with Receiver() as receiver:
        with pytest.raises(TimeoutError):
            sandbox.apixo("A fox [hang]", receiver.url, seconds=0.4)
        [called] = receiver.wait_for(1)

    assert "success" == called["data"]["state"]


def test_hang_ends_with_the_sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Closing frees a hanging client, without an answer."""
    outcome: list[BaseException] = []
    with start_sandbox(tmp_path_factory.mktemp("hang")) as server:
        sandbox = SandboxClient(server)

        def call() -> None:
            try:
                sandbox.apixo("A fox [hang]")
            except (OSError, http.client.HTTPException) as error:
                outcome.append(error)

        client = threading.Thread(target=call)
        client.start()
        book = server.renderer.book
        while not book.all():
            book.closing.wait(0.01)
        sandbox.ended(book.all()[0].id)
    client.join(10)

    assert 1 == len(outcome)


def test_drop(sandbox: SandboxClient) -> None:
    """The connection breaks without an answer, yet the task is made."""
    before = len(sandbox.server.renderer.book.all())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        sandbox.apixo("A fox [drop]")

    [task] = sandbox.server.renderer.book.all()[before:]
    assert "success" == sandbox.ended(task.id).state


def test_html(sandbox: SandboxClient) -> None:
    """The first two polls meet a gateway's page, the third one the truth."""
    task_id = sandbox.apixo_task("A fox [html]")
    answers = [sandbox.call("GET", APIXO_STATUS + task_id) for _ in range(3)]

    assert [502, 502, 200] == [answer.status for answer in answers]
    assert answers[0].headers["content-type"].startswith("text/html")


def test_unknown_state(sandbox: SandboxClient) -> None:
    """The first two polls meet a state from no document."""
    task_id = sandbox.apixo_task("A fox [unknown-state processing_r2]")
    states = [sandbox.status(task_id)["state"] for _ in range(3)]

    assert ["processing_r2", "processing_r2", "success"] == states


def test_cut(sandbox: SandboxClient) -> None:
    """The file breaks off at the first download and is whole at the second."""
    task_id = sandbox.apixo_task("A fox [cut]")
    with pytest.raises(http.client.IncompleteRead):
        sandbox.call("GET", f"/files/{task_id}.mp4")
    whole = sandbox.call("GET", f"/files/{task_id}.mp4")

    assert int(whole.headers["content-length"]) == len(whole.body)


def test_gone(sandbox: SandboxClient) -> None:
    """The task succeeded, but its file is nowhere."""
    data = sandbox.status(sandbox.apixo_task("A fox [gone]"))
    url = json.loads(data["resultJson"])["resultUrls"][0]

    assert 404 == sandbox.call("GET", url).status


def test_object(sandbox: SandboxClient) -> None:
    """The result is an object instead of a text."""
    data = sandbox.status(sandbox.apixo_task("A fox [object]"))

    assert 1 == len(data["resultJson"]["resultUrls"])


def test_empty(sandbox: SandboxClient) -> None:
    """A success without anything to show."""
    data = sandbox.status(sandbox.apixo_task("A fox [empty]"))

    assert ("success", []) == (data["state"], json.loads(data["resultJson"])["resultUrls"])

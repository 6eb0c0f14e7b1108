"""fal's wire: a queue for each app, public keys, callbacks signed by one of them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Blueprint, Response, jsonify, request

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, share, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

APPS = {
    "v2.5-turbo/pro": ("kling-2.5-turbo", 0.07),
    "v3/standard": ("kling-3.0", 0.084),
    "v3/pro": ("kling-3.0", 0.168),
}
STATES = {PENDING: "IN_QUEUE", PROCESSING: "IN_PROGRESS", SUCCESS: "COMPLETED", FAILED: "COMPLETED"}
ROOT = "/fal-ai/kling-video"


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The queue of Kling's apps."""
    blueprint = Blueprint("fal", __name__)
    desk, key = Desk(renderer, "fal"), Ed25519PrivateKey.generate()

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        response = jsonify(detail=refusal.message)
        response.status_code = refusal.status
        return response

    @blueprint.get("/.well-known/jwks.json")
    def keys() -> Response:
        raw = key.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return jsonify(keys=[{"kty": "OKP", "crv": "Ed25519", "x": x}])

    @blueprint.post(f"{ROOT}/<version>/<tier>/<any('text-to-video', 'image-to-video'):kind>")
    def create(version: str, tier: str, kind: str) -> Response:
        if f"{version}/{tier}" not in APPS:
            raise Refusal(404, "Application not found")
        slug, dollars = APPS[f"{version}/{tier}"]
        account, values = desk.key(prefix="Key "), _input(desk, slug, kind)
        url = request.args.get("fal_webhook")
        cost = dollars * values["duration"]
        task = desk.create(
            slug, account, values, cost, url, _bodies, lambda body: _signature(key, body)
        )
        where = f"{task.base_url}{ROOT}/requests/{task.id}"
        return jsonify(
            request_id=task.id,
            gateway_request_id=task.id,
            status_url=f"{where}/status",
            response_url=where,
            cancel_url=f"{where}/cancel",
            queue_position=0,
        )

    @blueprint.get(f"{ROOT}/requests/<task_id>/status")
    def status(task_id: str) -> Response:
        task = _known(desk, task_id)
        word = task.fault_orders.argument("unknown-state") if not task.over else ""
        body = {"status": word or STATES[task.state], "request_id": task.id}
        if task.state == FAILED:
            body["error"] = f"{task.fail_code}: {task.fail_message}"
        return jsonify(body)

    @blueprint.get(f"{ROOT}/requests/<task_id>")
    def result(task_id: str) -> Response:
        task = _known(desk, task_id)
        if task.state == FAILED:
            raise Refusal(422, task.fail_message)
        if not task.over:
            raise Refusal(400, "Request is still in progress")
        return jsonify(_result(task))

    return blueprint


def _input(desk: Desk, slug: str, kind: str) -> dict[str, Any]:
    first = "image_url" if slug == "kling-2.5-turbo" else "start_image_url"
    names = ["prompt", "duration", "negative_prompt", "cfg_scale"]
    names += ["aspect_ratio"] if kind == "text-to-video" else [first]
    turbo = slug == "kling-2.5-turbo"
    names += ["tail_image_url"] if turbo and kind == "image-to-video" else []
    body = desk.body(names if turbo else [*names, "generate_audio"])
    lengths = ("5", "10") if turbo else tuple(map(str, range(3, 16)))
    share(body, "cfg_scale")
    values = {
        "prompt": text(body, "prompt", needed=True),
        "negative_prompt": text(body, "negative_prompt"),
        "duration": int(one_of(body, "duration", lengths, "5")),
        "aspect_ratio": one_of(body, "aspect_ratio", ("16:9", "9:16", "1:1"), "16:9"),
    }
    frames = {"image_url": image(body, first), "tail_image_url": image(body, "tail_image_url")}
    return values | {name: url for name, url in frames.items() if url}


def _known(desk: Desk, task_id: str) -> Task:
    task = desk.find(task_id, desk.key(prefix="Key "))
    if task is None:
        raise Refusal(404, "Request not found")
    return task


def _result(task: Task) -> dict[str, Any]:
    video = {"url": task.result_url, "content_type": "video/mp4"}
    return {} if task.fault_orders.has("empty") else {"video": video}


def _bodies(task: Task) -> tuple[bytes, ...]:
    body: dict[str, Any] = {"request_id": task.id, "gateway_request_id": task.id}
    body |= {"status": "OK", "payload": _result(task)}
    if task.state == FAILED:
        body |= {"status": "ERROR", "error": task.fail_message, "payload": None}
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(body).encode(),) * times


def _signature(key: Ed25519PrivateKey, body: bytes) -> dict[str, str]:
    lines = [json.loads(body)["request_id"], "user-1", str(int(time.time()))]
    signed = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    names = ("Request-Id", "User-Id", "Timestamp")
    headers = {f"X-Fal-Webhook-{name}": line for name, line in zip(names, lines, strict=True)}
    return headers | {"X-Fal-Webhook-Signature": key.sign(signed.encode()).hex()}

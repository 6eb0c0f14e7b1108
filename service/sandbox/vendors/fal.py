"""fal's wire: a queue for each app, public keys, callbacks signed by one of them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service.sandbox.vendors.desk import Desk, Refusal, View, copies, state_word, usual_input
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

APPS = {
    "v2.5-turbo/pro": ("kling-2.5-turbo", 0.07),
    "v3/standard": ("kling-3.0", 0.084),
    "v3/pro": ("kling-3.0", 0.168),
}
STATES = {PENDING: "IN_QUEUE", PROCESSING: "IN_PROGRESS", SUCCESS: "COMPLETED", FAILED: "COMPLETED"}
ROOT = "/fal-ai/kling-video"
KINDS = "<any('text-to-video', 'image-to-video'):kind>"
_KEY = Ed25519PrivateKey.generate()


class Fal(Desk):
    """The queue of Kling's apps."""

    vendor, key_prefix = "fal", "Key "

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "GET /.well-known/jwks.json": self.keys,
            f"POST {ROOT}/<version>/<tier>/{KINDS}": self.create_request,
            f"GET {ROOT}/requests/<task_id>/status": self.status,
            f"GET {ROOT}/requests/<task_id>": self.result,
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        return jsonify(detail=refusal.message), refusal.status

    def keys(self) -> ResponseReturnValue:
        """The keys that sign callbacks."""
        raw = _KEY.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return jsonify(keys=[{"kty": "OKP", "crv": "Ed25519", "x": x}])

    def create_request(self, version: str, tier: str, kind: str) -> ResponseReturnValue:
        """A request in the queue."""
        if f"{version}/{tier}" not in APPS:
            raise Refusal(404, "Application not found")
        slug, dollars = APPS[f"{version}/{tier}"]
        turbo, text_only = slug == "kling-2.5-turbo", kind == "text-to-video"
        first = "image_url" if turbo else "start_image_url"
        more = ["aspect_ratio"] if text_only else [first]
        more += ["tail_image_url"] if turbo and not text_only else []
        more += [] if turbo else ["generate_audio"]
        lengths = ("5", "10") if turbo else tuple(map(str, range(3, 16)))
        names = ("prompt", "negative_prompt", "duration", "cfg_scale")
        values = usual_input(self.body((*names, *more)), more, lengths, first)
        cost, url = dollars * values["duration"], request.args.get("fal_webhook")
        task = self.create(slug, values, cost, url, self._bodies, self._signature)
        where = f"{task.base_url}{ROOT}/requests/{task.id}"
        return jsonify(
            request_id=task.id,
            gateway_request_id=task.id,
            status_url=f"{where}/status",
            response_url=where,
            cancel_url=f"{where}/cancel",
            queue_position=0,
        )

    def status(self, task_id: str) -> ResponseReturnValue:
        """Its place in the queue."""
        task = self.task(task_id)
        body = {"status": state_word(task, STATES), "request_id": task.id}
        if task.state == FAILED:
            body["error"] = f"{task.fail_code}: {task.fail_message}"
        return jsonify(body)

    def result(self, task_id: str) -> ResponseReturnValue:
        """Its result, once it is there."""
        task = self.task(task_id)
        if task.state == FAILED:
            raise Refusal(422, task.fail_message)
        if not task.over:
            raise Refusal(400, "Request is still in progress")
        return jsonify(_result(task))

    @staticmethod
    def _bodies(task: Task) -> tuple[bytes, ...]:
        body: dict[str, Any] = {"request_id": task.id, "gateway_request_id": task.id}
        body |= {"status": "OK", "payload": _result(task)}
        if task.state == FAILED:
            body |= {"status": "ERROR", "error": task.fail_message, "payload": None}
        return copies(task, body)

    @staticmethod
    def _signature(body: bytes) -> dict[str, str]:
        lines = [json.loads(body)["request_id"], "user-1", str(int(time.time()))]
        signed = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
        names = ("Request-Id", "User-Id", "Timestamp")
        headers = {f"X-Fal-Webhook-{name}": line for name, line in zip(names, lines, strict=True)}
        return headers | {"X-Fal-Webhook-Signature": _KEY.sign(signed.encode()).hex()}


def _result(task: Task) -> dict[str, Any]:
    video = {"url": task.result_url, "content_type": "video/mp4"}
    return {} if task.fault_orders.has("empty") else {"video": video}


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return Fal(renderer).blueprint()

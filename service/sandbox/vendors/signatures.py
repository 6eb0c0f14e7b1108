"""Signatures that more than one vendor makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid


def standard_signature(secret: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    id_, now = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    signed = b".".join([id_.encode(), now.encode(), body])
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": id_, "webhook-timestamp": now, "webhook-signature": f"v1,{mac}"}

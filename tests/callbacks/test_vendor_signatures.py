"""A vendor's own signature on a callback: a bad one changes nothing, and is counted."""

from __future__ import annotations

from typing import Any

import pytest
from support.harness import Harness
from support.sandboxes import SandboxClient

from service import store
from service.callbacks.process import BAD_VENDOR_SIGNATURE
from service.catalogue.models import VENDORS
from service.model import CallbackState, JobState
from service.ops.metrics import exposition

pytestmark = pytest.mark.postgresql

SECRET = "whsec_" + "c2lnbmVkIGJ5" * 3
#: Those with a secret that both know, and one with public keys.
SIGNING = [*(name for name, vendor in VENDORS.items() if vendor.signs), "fal"]


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Every vendor is the sandbox, and signs."""
    given: dict[str, Any] = {"submit_timeout": 1.5}
    for name, vendor in VENDORS.items():
        given |= {f"{name}_base_url": sandbox.server.url, f"{name}_api_key": "k"}
        given |= {f"{name}_webhook_secret": SECRET} if vendor.signs else {}
    return given


@pytest.mark.parametrize("vendor", SIGNING)
def test_unsigned_callback(vendor: str, harness: Harness, sandbox: SandboxClient) -> None:
    """It is ignored, listed with its reason and counted in the metrics; the job goes on."""
    model = VENDORS[vendor].models[0].slug
    job = harness.new_job(model=model, provider=vendor, input={"prompt": "A fox", "duration": 5})
    harness.drain("submit")
    harness.wiring.ingest.insert(job.id, vendor, {}, b'{"status": "failed"}', harness.clock())
    harness.drain("process")
    with harness.db.read() as tx:
        (kept,) = store.callbacks.of_job(tx, job.id)
        listed = store.callbacks.rejected(tx, 10)
        metrics = exposition(tx, harness.clock()).decode()

    assert CallbackState.IGNORED is kept.state
    assert f"not signed by {vendor}: it lacks" in kept.note
    assert [(BAD_VENDOR_SIGNATURE, harness.clock())] == [
        (one.reason, one.received_at) for one in listed
    ]
    assert f'clipbell_callbacks_refused_total{{reason="{BAD_VENDOR_SIGNATURE}"}} 1.0' in metrics
    assert JobState.SUBMITTED is harness.job(job).state

"""Replicate: Kling 2.5 Turbo Pro; no price is stated per video."""

from __future__ import annotations

from service.catalogue.entries import SHORT, Vendor, called_back_model, usual_inputs

VENDOR = Vendor(
    name="replicate",
    title="Replicate",
    base_url="https://api.replicate.com",
    signs=True,
    lookup="list of predictions",
    history="list of predictions",
    models=(
        called_back_model(
            "replicate",
            "kling-2.5-turbo",
            "Kling 2.5 Turbo",
            usual_inputs(SHORT, "start_image", "end_image", "guidance_scale"),
            wire="kwaivgi/kling-v2.5-turbo-pro",
            expected_seconds={5: 150.0, 10: 180.0},
        ),
    ),
)

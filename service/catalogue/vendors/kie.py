"""kie.ai: Kling 2.5 Turbo Pro, billed in credits."""

from __future__ import annotations

from service.catalogue.entries import SHORT, Vendor, called_back_model, usual_inputs

VENDOR = Vendor(
    name="kie",
    title="kie.ai",
    base_url="https://api.kie.ai",
    signs=True,
    units={"credit": 0.005},
    models=(
        called_back_model(
            "kie",
            "kling-2.5-turbo",
            "Kling 2.5 Turbo",
            usual_inputs(SHORT, "image_url", "tail_image_url"),
            wire="kling/v2-5-turbo",
            expected_seconds={5: 150.0, 10: 180.0},
        ),
    ),
)

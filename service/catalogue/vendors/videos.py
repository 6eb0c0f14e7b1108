"""Any server of one's own that speaks the videos API: its models are named in the settings."""

from __future__ import annotations

from service.catalogue.entries import Model, Parameter, Vendor, prompt

SIZES = ("1280x720", "720x1280", "1024x1024", "1920x1080", "1080x1920", "1024x1792", "1792x1024")
_LENGTHS = tuple(range(1, 61))

VENDOR = Vendor(
    name="videos",
    title="Your own server",
    base_url="",
    models=(
        Model(
            slug="videos",
            title="A model of your own server",
            provider="videos",
            parameters=(
                prompt(),
                Parameter(
                    "duration",
                    "integer",
                    "Seconds of video; always sent.",
                    default=5,
                    choices=_LENGTHS,
                    aliases=("seconds",),
                ),
                Parameter("size", "text", "Width and height.", default=SIZES[0], choices=SIZES),
                Parameter(
                    "model",
                    "text",
                    "One of VIDEOS_MODELS; the first where it is left out.",
                    max_length=200,
                ),
                Parameter(
                    "input_reference",
                    "image",
                    "First frame.",
                    aliases=("image_url", "first_frame", "start_image"),
                ),
                Parameter(
                    "remix_of",
                    "text",
                    "Your server's id of a video to remix; its length and size stay.",
                    max_length=200,
                    excludes="input_reference",
                ),
            ),
            expected_seconds={seconds: 60.0 + 20.0 * seconds for seconds in _LENGTHS},
            poll_after=10.0,
            poll_every=5.0,
        ),
    ),
)

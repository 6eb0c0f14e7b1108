"""A form as servers read it."""

from __future__ import annotations

from flask import Flask, request

from service.outbound.forms import FormFile, encode_form

HARD = 'A "fox"\r\n--in Straßburg 🦊'


def test_texts_and_files() -> None:
    """Texts come as they were given, a file with its name and media type."""
    picture = FormFile("frame.png", b"\x89PNG\r\n--\x00", "image/png")
    body, kind = encode_form({"prompt": HARD, "seconds": "5", "frame": picture})
    with Flask("server").test_request_context(method="POST", data=body, content_type=kind):
        file = request.files["frame"]

        assert {"prompt": HARD, "seconds": "5"} == request.form.to_dict()
        assert picture == (file.filename, file.read(), file.mimetype)

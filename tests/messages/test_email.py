"""The mail: what it says, how it is built, and what it never carries."""

from __future__ import annotations

import io
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from PIL import Image
from support.channel_targets import (
    JOB_ID,
    LINK,
    PUBLIC_URL,
    UNSUBSCRIBE_URL,
    error,
    jpeg,
    notification,
)

from service.media.posters import POSTER_BYTES
from service.messages.email import build_email
from service.messages.payloads import Notification
from service.model import EventType


def arrived(notification_: Notification) -> EmailMessage:
    """The message as a mail program reads it."""
    mail = message_from_bytes(build_email(notification_).as_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def part(mail: EmailMessage, kind: str) -> str:
    """The text or the HTML."""
    body = mail.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


def shape(mail: EmailMessage) -> list[str]:
    """The types of all parts, from the outside in."""
    return [piece.get_content_type() for piece in mail.walk()]


def test_shape_with_poster() -> None:
    """Text for those who want text; HTML that brings its picture along; never the video."""
    mail = arrived(notification(poster=jpeg()))

    assert shape(mail) == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/jpeg",
    ]
    picture = list(mail.walk())[-1]
    assert f"cid:{str(picture['Content-ID']).strip('<>')}" in part(mail, "html")


@pytest.mark.parametrize("poster", [None, b"", b"no picture at all"])
def test_shape_without_poster(poster: bytes | None) -> None:
    """Without a usable poster there is no picture, and no hole where it would be."""
    mail = arrived(notification(poster=poster))

    assert ["multipart/alternative", "text/plain", "text/html"] == shape(mail)
    assert "<img" not in part(mail, "html")


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_good_news_leads_to_the_video(kind: str) -> None:
    """Watch, download and job are a click away in both versions."""
    text = part(arrived(notification(poster=jpeg())), kind)

    for expected in (LINK, f"{LINK}?download=1", f"{PUBLIC_URL}/jobs/{JOB_ID}", UNSUBSCRIBE_URL):
        assert expected in text
    assert "Kling 2.5 Turbo" in text


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_failure_says_why_and_what_to_do(kind: str) -> None:
    """The vendor's words, our hint and our code; no video is promised."""
    trouble = error("IMAGE_TOO_LARGE", "image is 12 MB")
    text = part(arrived(notification(EventType.JOB_FAILED, error=trouble)), kind)

    for expected in ("Image is 12 MB.", "Make the image smaller than 10 MB.", "IMAGE_TOO_LARGE"):
        assert expected in text
    assert "Watch" not in text


def test_plain_text_reads_well() -> None:
    """The text version is a text, not what is left when tags are taken away."""
    text = part(
        arrived(notification(EventType.JOB_HELD, error=error("SPEND_LIMIT", "over 10 $"))), "plain"
    )

    assert text.startswith(
        "Video on hold\n\n"
        '"A red fox runs through fresh snow"\n\n'
        "Over 10 $.\n"
        "Raise the spend limit, then resume the provider.\n\n"
        f"Open job: {PUBLIC_URL}/jobs/{JOB_ID}\n\n"
        "Model: Kling 2.5 Turbo\n"
    )
    assert text.endswith(
        "\n-- \n"
        "Clipbell sent this because you subscribed to it.\n"
        f"Stop these mails: {UNSUBSCRIBE_URL}\n"
    )


def test_prompt_is_text_and_never_markup() -> None:
    """HTML in a prompt arrives as letters."""
    html = part(arrived(notification(prompt='<img src=x onerror="alert(1)"> & more')), "html")

    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; more" in html
    assert "<img src=x" not in html


@pytest.mark.parametrize(
    "prompt", ["x\r\nBcc: all@example.com", "a\x00b\x1b[0m", "ü" * 2500, "", None]
)
def test_no_prompt_breaks_the_headers(prompt: str | None) -> None:
    """Line ends, control characters, length: the subject stays one short line."""
    mail = arrived(notification(prompt=prompt))

    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("Video ready")
    assert 140 >= len(mail["Subject"])


def test_refused_content_is_not_repeated() -> None:
    """What a provider's filter refused comes back in no part of the mail."""
    refusal = error("CONTENT_VIOLATION", "refused: something awful")
    mail = arrived(notification(EventType.JOB_FAILED, prompt="something awful", error=refusal))

    assert "Video failed" == mail["Subject"]
    assert "awful" not in part(mail, "plain") + part(mail, "html")


def test_one_click_ends_it() -> None:
    """The unsubscribe URL stands whole on its line, however long, as RFC 8058 has it."""
    lines = build_email(notification()).as_bytes().decode().split("\r\n")

    assert f"List-Unsubscribe: <{UNSUBSCRIBE_URL}>" in lines
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert "Auto-Submitted: auto-generated" in lines


def test_unsubscribe_url_cannot_smuggle_headers() -> None:
    """A URL with a line end is refused, since this header is written as it is."""
    with pytest.raises(ValueError, match="unsubscribing"):
        build_email(notification(unsubscribe_url="https://x/\r\nBcc: y"))


def test_same_notice_same_bytes() -> None:
    """Nothing in a message comes from chance or the clock."""
    asked = notification(poster=jpeg())

    assert build_email(asked).as_bytes() == build_email(asked).as_bytes()


def test_every_mail_server_can_carry_it() -> None:
    """Seven bits and lines below the limit of RFC 5321, whatever the prompt."""
    content = build_email(notification(prompt="ü€🦊 " * 600, poster=jpeg())).as_bytes()

    assert content.isascii()
    assert 998 >= max(map(len, content.split(b"\r\n")))


@pytest.mark.parametrize("kind", list(EventType))
def test_every_event_has_a_mail(kind: EventType) -> None:
    """No event is without words; bad ones are not without a title."""
    assert shape(arrived(notification(kind)))[:2] == ["multipart/alternative", "text/plain"]


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (640, 640), (3000, 1688)])
def test_poster_is_small_and_has_a_badge(size: tuple[int, int]) -> None:
    """The picture stays light, keeps its ratio, and shows a white play sign in its middle."""
    picture = list(arrived(notification(poster=jpeg(size))).walk())[-1].get_content()

    with Image.open(io.BytesIO(picture)) as shown:
        middle = shown.getpixel((shown.width // 2, shown.height // 2))
        ratio = shown.width / shown.height
    assert POSTER_BYTES >= len(picture)
    assert pytest.approx(size[0] / size[1], rel=0.01) == ratio
    assert isinstance(middle, tuple)
    assert 240 < min(middle)

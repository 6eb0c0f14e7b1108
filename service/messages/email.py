"""
The mail about an event, in plain text and in HTML.

Pure functions of a notification; sender, recipient and date are in the
envelope's headers, which the channel adds at each attempt.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy

import jinja2

from service.media.posters import encode_jpeg
from service.messages.content import MessageContent, cut, describe
from service.messages.payloads import Notification
from service.model import EventType

try:
    from PIL import Image, ImageDraw
except ModuleNotFoundError:  # pragma: no cover - the extra is not installed
    Image = None  # type: ignore[assignment]

SUBJECT_LENGTH = 140
WIDTH = 598
#: Upright posters are smaller, so that the buttons stay visible.
HEIGHT = 480
#: The factor by which the badge is drawn larger than it is used, for smooth edges.
_FINE = 4
_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("service.messages", "templates"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class VerbatimHeader(str):
    """
    A header that stays on one line whatever its length.

    Python would fold a long URL by encoding it as text, and no
    mail program decodes that.
    """

    name: str

    def fold(self, *, policy: EmailPolicy) -> str:
        """The header's line for `EmailMessage`."""
        return f"{self.name}: {self}{policy.linesep}"


@dataclass(frozen=True)
class Poster:
    """A JPEG for the mail, and the width at which it is shown, in pixels."""

    jpeg: bytes
    cid: str
    width: int


def build_email(notification: Notification) -> EmailMessage:
    """The mail without From, To, Date and Message-ID; the same bytes for the same event."""
    content = describe(notification)
    poster = _poster(notification) if content.watch else None
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = cut(content.headline, SUBJECT_LENGTH)
    mail["Auto-Submitted"] = "auto-generated"
    # One click ends the subscription (RFC 8058).
    if any(char in notification.unsubscribe_url for char in "\r\n<>"):
        raise ValueError("the URL for unsubscribing cannot stand in a header")
    header = VerbatimHeader(f"<{notification.unsubscribe_url}>")
    header.name = "List-Unsubscribe"
    mail["List-Unsubscribe"] = header
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(_rendered("mail.txt", notification, content, None), cte="quoted-printable")
    html = _rendered("mail.html", notification, content, poster)
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    if poster:
        *_, part = mail.iter_parts()
        assert isinstance(part, EmailMessage)  # noqa: S101 - what the library's types leave open
        cid, name = f"<{poster.cid}>", "poster.jpg"
        part.add_related(poster.jpeg, "image", "jpeg", cid=cid, disposition="inline", filename=name)
    # The event decides the boundaries, so that the bytes stay the same.
    for number, part in enumerate(mail.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_clipbell_{notification.event.id}_{number}")
    return mail


def _rendered(
    name: str, notification: Notification, content: MessageContent, poster: Poster | None
) -> str:
    return _templates.get_template(name).render(
        content=content,
        poster=poster,
        unsubscribe_url=notification.unsubscribe_url,
        bad=notification.event.type is EventType.JOB_FAILED,
    )


def _poster(notification: Notification) -> Poster | None:
    """The poster at most at twice its shown size, with a play badge."""
    if not notification.poster:
        return None
    cid = f"poster.{notification.event.id}@clipbell"
    if Image is None:
        return Poster(notification.poster, cid, WIDTH)
    try:
        with Image.open(io.BytesIO(notification.poster)) as stored:
            picture = stored.convert("RGB")
    except OSError:
        return None  # No picture: a broken one would look like our fault.
    shown = min(WIDTH, round(HEIGHT * picture.width / picture.height))
    picture.thumbnail((2 * shown, 2 * HEIGHT))
    # A white triangle on a dark disc.
    size = max(16, min(picture.size) // 5)
    side = size * _FINE
    drawn = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((0, 0, side - 1, side - 1), fill=(15, 18, 28, 190))
    corners = [(0.40, 0.30), (0.40, 0.70), (0.73, 0.50)]
    pen.polygon([(x * side, y * side) for x, y in corners], fill=(255, 255, 255, 255))
    badge = drawn.resize((size, size), Image.Resampling.LANCZOS)
    corner = ((picture.width - badge.width) // 2, (picture.height - badge.height) // 2)
    picture.paste(badge, corner, badge)
    return Poster(encode_jpeg(picture), cid, shown)

"""Tokens, webhook signatures and seals: what is ours is taken, anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from channels.test_conformance import VECTORS
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from service.errors import BadToken, ExpiredToken
from service.signing import (
    CallbackSigner,
    Encryptor,
    LinkSigner,
    TokenSigner,
    UnsubscribeSigner,
    digest,
    new_webhook_secret,
    webhook_headers,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
OLD, NEW = "old" * 12, "new" * 12
URL = "https://clips.example.com"
#: Signs and verifies for one purpose; the three must be strangers to each other.
SIGNERS: dict[str, Callable[[list[str]], CallbackSigner | LinkSigner | UnsubscribeSigner]] = {
    "callback": lambda keys: CallbackSigner(keys, URL),
    "video": lambda keys: LinkSigner(keys, URL),
    "unsubscribe": lambda keys: UnsubscribeSigner(keys, URL),
}


def made(signer: CallbackSigner | LinkSigner | UnsubscribeSigner) -> str:
    """A token of this signer."""
    if isinstance(signer, CallbackSigner):
        url = signer.url_for("job_1", "apixo", LATER)
    else:
        url = signer.url_for("vid_1", LATER)
    assert url.startswith(URL + "/")
    return url.rpartition("/")[2]


def test_callback_token() -> None:
    """A callback URL names its job and its provider, in the path, with safe characters."""
    signer = CallbackSigner([NEW], URL)
    url = signer.url_for("job_1", "apixo", LATER)
    token = url.removeprefix(f"{URL}/callbacks/")

    assert ("job_1", "apixo") == signer.verify(token, NOW)
    assert not set(token) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_link_and_unsubscribe() -> None:
    """Both give back what they were made for; the same expiry makes the same link."""
    links, unsubscribe = LinkSigner([NEW], URL), UnsubscribeSigner([NEW], URL)

    assert "vid_1" == links.verify(made(links), NOW)
    assert "vid_1" == unsubscribe.verify(made(unsubscribe), NOW)
    assert links.url_for("vid_1", LATER) == links.url_for("vid_1", LATER)


@pytest.mark.parametrize("kind", SIGNERS)
def test_expiry(kind: str) -> None:
    """A token works until its very second, from a clock that is behind too, and no longer."""
    signer = SIGNERS[kind]([NEW])
    token = made(signer)

    assert signer.verify(token, LATER) == signer.verify(token, NOW - timedelta(days=400))
    with pytest.raises(ExpiredToken) as expired:
        signer.verify(token, LATER + timedelta(seconds=1))
    assert int(LATER.timestamp()) == expired.value.payload["exp"]


@pytest.mark.parametrize("kind", SIGNERS)
def test_purposes_are_separate(kind: str) -> None:
    """A token made for one purpose is worthless for every other."""
    token = made(SIGNERS[kind]([NEW]))
    for other in SIGNERS.keys() - {kind}:
        with pytest.raises(BadToken):
            SIGNERS[other]([NEW]).verify(token, NOW)


@pytest.mark.parametrize("kind", SIGNERS)
def test_rotation(kind: str) -> None:
    """The newest key signs, older ones still verify, a removed one no longer does."""
    signer = SIGNERS[kind]
    before, after = made(signer([OLD])), made(signer([NEW, OLD]))

    assert signer([NEW, OLD]).verify(before, NOW) == signer([NEW, OLD]).verify(after, NOW)
    assert after == made(signer([NEW]))
    with pytest.raises(BadToken):
        signer([NEW]).verify(before, NOW)
    with pytest.raises(BadToken):
        signer([OLD]).verify(after, NOW)


@pytest.mark.parametrize("kind", SIGNERS)
def test_tampering(kind: str) -> None:
    """No byte can be changed, dropped or added without the token being refused."""
    signer = SIGNERS[kind]([NEW])
    token = made(signer)
    changed = [token[:i] + c + token[i + 1 :] for i in range(len(token) - 1) for c in "Az.-"]
    changed += [token[:i] + token[i + 1 :] for i in range(len(token))]
    changed += [token[:i] + "A" + token[i:] for i in range(len(token) + 1)]
    for forged in {*changed} - {token}:
        with pytest.raises(BadToken) as refused:
            signer.verify(forged, NOW)
        assert not isinstance(refused.value, ExpiredToken)


@given(st.text(st.characters()) | st.text("abAB09-_.=", max_size=60))
@example("\ud800")
@example("ä")
@example("..")
def test_verify_raises_only_bad_token(token: str) -> None:
    """Whatever stands in a URL, it is refused as a bad token and nothing else happens."""
    for signer in SIGNERS.values():
        with pytest.raises(BadToken):
            signer([NEW, OLD]).verify(token, NOW)


@pytest.mark.parametrize("expiry", [None, "1", 1.5, [9e9]])
def test_payload_without_expiry(expiry: object) -> None:
    """A payload of ours that has no usable expiry is no token."""
    signer = TokenSigner([NEW], "video")
    token = signer._serializer.dumps({"video": "vid_1", "exp": expiry})
    with pytest.raises(BadToken):
        signer.verify(str(token), NOW)


@pytest.mark.parametrize(("secret", "id_", "timestamp", "body", "signature"), VECTORS)
def test_vectors(secret: str, id_: str, timestamp: int, body: bytes, signature: str) -> None:
    """The published signatures come out, also from a secret without its padding or prefix."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    for spelling in (secret, secret.removeprefix("whsec_"), secret.rstrip("=")):
        assert {
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        } == webhook_headers([spelling], id_, moment, body)


@given(body=st.dictionaries(st.text(), st.integers() | st.text()))
def test_the_reference_library_verifies(body: dict[str, object]) -> None:
    """What we sign, the standard's own library takes, with either secret of a rotation."""
    old, new = new_webhook_secret(), new_webhook_secret()
    raw = json.dumps(body).encode()
    moment = datetime.now(UTC)
    headers = webhook_headers([new, old], "evt_1", moment, raw)

    assert str(int(moment.timestamp())) == headers["webhook-timestamp"]
    assert [body, body] == [Webhook(key).verify(raw.decode(), headers) for key in (new, old)]


def test_webhook_secrets() -> None:
    """A new secret has 32 random bytes in the standard's spelling."""
    found = {new_webhook_secret() for _ in range(50)}

    assert 50 == len(found)
    assert {len("whsec_") + 44} == {len(secret) for secret in found}


@given(st.text())
def test_seal(text: str) -> None:
    """What is sealed is opened again and does not show through."""
    encryptor = Encryptor([NEW])
    encrypted = encryptor.encrypt(text)

    assert text == encryptor.decrypt(encrypted)
    assert len(text) < 4 or text not in encrypted
    assert encrypted != encryptor.encrypt(text)


def test_seal_rotation() -> None:
    """An older key opens as long as it is listed; then the error says what is missing."""
    encrypted = Encryptor([OLD]).encrypt("xoxb-1")

    assert "xoxb-1" == Encryptor([NEW, OLD]).decrypt(encrypted)
    with pytest.raises(BadToken, match="SECRET_KEYS"):
        Encryptor([NEW]).decrypt(encrypted)


@given(st.text(st.characters()))
@example("\ud800")
def test_open_raises_only_bad_token(encrypted: str) -> None:
    """Anything that was never sealed is refused as such."""
    with pytest.raises(BadToken):
        Encryptor([NEW]).decrypt(encrypted)


def test_seal_is_no_token() -> None:
    """Seals and tokens derive their keys apart."""
    with pytest.raises(BadToken):
        TokenSigner([NEW], "seal").verify(Encryptor([NEW]).encrypt("x"), NOW)


def test_digest() -> None:
    """SHA-256 in hex: the published one of an empty text."""
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == digest("")

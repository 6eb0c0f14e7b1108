"""Tokens, webhook signatures and seals: what is ours is taken, anything else is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from channels.test_conformance import VECTORS
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import BadSignature
from standardwebhooks import Webhook

from service.errors import BadToken, ExpiredToken, SettingsError
from service.signing import (
    Encryptor,
    KeyRing,
    SessionSerializer,
    UrlSigner,
    digest,
    new_webhook_secret,
    webhook_headers,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
OLD, NEW = "old" * 12, "new" * 12
URL = "https://clips.example.com"
#: What is handed out for each purpose: the address before the token, and what the token says.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "callback": ("callbacks", {"job": "job_1", "provider": "apixo"}),
    "video": ("v", {"video": "vid_1"}),
    "unsubscribe": ("u", {"subscription": "sub_1"}),
    "image": ("i", {"image": "img_1.png"}),
    "login": ("login", {"key": "key_1"}),
}
#: Tokens that the first version gave out, valid until `LATER`.
HANDED_OUT = {
    "callback": "eyJqb2IiOiJqb2JfMSIsInByb3ZpZGVyIjoiYXBpeG8iLCJleHAiOjE3Njk4NjA4MDB9"
    ".i_daio0KL-sveAgehPa38B2Az9NN5wSofbMI1VhwieE",
    "video": "eyJ2aWRlbyI6InZpZF8xIiwiZXhwIjoxNzY5ODYwODAwfQ"
    ".kBRtK6vGTI6d3YL0GwUjTPvU8Ivzm5scekLsn2g0GIE",
    "unsubscribe": "eyJzdWJzY3JpcHRpb24iOiJzdWJfMSIsImV4cCI6MTc2OTg2MDgwMH0"
    ".WL5ZpyY6jVjetxn1dLPMD3a0MSUByeqCM99iKKAxbHI",
    "image": "eyJpbWFnZSI6ImltZ18xLnBuZyIsImV4cCI6MTc2OTg2MDgwMH0"
    ".E_Kb7LC1bJIPhwDce7Yv4-MnpPwz6q_zhAVbk62ItSI",
    "login": "eyJrZXkiOiJrZXlfMSIsImV4cCI6MTc2OTg2MDgwMH0"
    ".G5yqdEtb9ocUJpG1V0SV9IJeaV3-3HFsXxBjYpJI5vU",
}
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
URL_SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def signer_of(kind: str, *keys: str) -> UrlSigner:
    """Signs and verifies for one purpose; they must be strangers to each other."""
    return UrlSigner(keys, kind, f"{URL}/{KINDS[kind][0]}")


def made(signer: UrlSigner, kind: str) -> str:
    """A token of this signer."""
    token = signer.token_in(signer.url_for(LATER, **KINDS[kind][1]))
    assert token is not None
    return token


@pytest.mark.parametrize("kind", KINDS)
def test_url(kind: str) -> None:
    """A URL carries its payload behind its path, safely; the same expiry makes the same URL."""
    signer = signer_of(kind, NEW)
    url = signer.url_for(LATER, **KINDS[kind][1])
    token = url.removeprefix(f"{URL}/{KINDS[kind][0]}/")

    assert KINDS[kind][1] | {"exp": int(LATER.timestamp())} == signer.verify(token, NOW)
    assert set(token) <= URL_SAFE
    assert url == signer.url_for(LATER, **KINDS[kind][1])


@pytest.mark.parametrize("kind", KINDS)
def test_urls_in_the_world_stay_good(kind: str) -> None:
    """URLs of the first version work, and the same URL is made today."""
    assert HANDED_OUT[kind] == made(signer_of(kind, NEW), kind)


@pytest.mark.parametrize(
    ("url", "expected"),
    [(f"{URL}/v/abc", "abc"), (f"{URL}/v/", ""), (f"{URL}/video/abc", None), ("/v/abc", None)],
)
def test_token_in_a_url(url: str, expected: str | None) -> None:
    """Only a URL that starts as ours do has a token of ours."""
    assert expected == signer_of("video", NEW).token_in(url)


@pytest.mark.parametrize("kind", KINDS)
def test_expiry(kind: str) -> None:
    """A token works until its very second, from a clock that is behind too, and no longer."""
    signer = signer_of(kind, NEW)
    token = made(signer, kind)

    assert signer.verify(token, LATER) == signer.verify(token, NOW - timedelta(days=400))
    with pytest.raises(ExpiredToken) as expired:
        signer.verify(token, LATER + timedelta(seconds=1))
    assert int(LATER.timestamp()) == expired.value.payload["exp"]


@pytest.mark.parametrize("kind", KINDS)
def test_purposes_are_separate(kind: str) -> None:
    """A token made for one purpose is worthless for every other."""
    token = made(signer_of(kind, NEW), kind)
    for other in KINDS.keys() - {kind}:
        with pytest.raises(BadToken):
            signer_of(other, NEW).verify(token, NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_rotation(kind: str) -> None:
    """The newest key signs, older ones still verify, a removed one no longer does."""
    old, both, new = (signer_of(kind, *keys) for keys in ([OLD], [NEW, OLD], [NEW]))
    before, after = made(old, kind), made(both, kind)

    assert both.verify(before, NOW) == both.verify(after, NOW)
    assert after == made(new, kind)
    with pytest.raises(BadToken):
        new.verify(before, NOW)
    with pytest.raises(BadToken):
        old.verify(after, NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_tampering(kind: str) -> None:
    """No byte can be changed, dropped or added without the token being refused."""
    signer = signer_of(kind, NEW)
    token = made(signer, kind)
    changed = [token[:i] + c + token[i + 1 :] for i in range(len(token) - 1) for c in "Az.-"]
    changed += [token[:i] + token[i + 1 :] for i in range(len(token))]
    changed += [token[:i] + "A" + token[i:] for i in range(len(token) + 1)]
    for forged in {*changed} - {token}:
        with pytest.raises(BadToken) as refused:
            signer.verify(forged, NOW)
        assert not isinstance(refused.value, ExpiredToken)


@pytest.mark.parametrize("kind", KINDS)
def test_canonical(kind: str) -> None:
    """One token has one spelling: no padding, no bits that nothing needs, no other letters."""
    signer = signer_of(kind, NEW)
    token = made(signer, kind)
    last = BASE64.index(token[-1])
    others = [token[:-1] + BASE64[last ^ bits] for bits in (1, 2, 3)]
    others += [token + end for end in ("=", "==", "!", " ", "\n", "%", "ä")]
    others += [f"{token[:-9]}!{token[-9:]}", token.replace("-", "+").replace("_", "/") + "="]
    for other in others:
        with pytest.raises(BadToken):
            signer.verify(other, NOW)


def test_canonical_session() -> None:
    """Neither does a session's cookie have a second spelling."""
    serializer = SessionSerializer([NEW])
    cookie = serializer.dumps({"key": "key_1"})
    text = cookie if isinstance(cookie, str) else cookie.decode()

    assert {"key": "key_1"} == serializer.loads(text)
    for other in (f"{text}=", text[:-1] + BASE64[BASE64.index(text[-1]) ^ 1]):
        with pytest.raises(BadSignature):
            serializer.loads(other)


@given(st.text(st.characters()) | st.text("abAB09-_.=", max_size=60))
@example("\ud800")
@example("ä")
@example("..")
def test_verify_raises_only_bad_token(token: str) -> None:
    """Whatever stands in a URL, it is refused as a bad token and nothing else happens."""
    for kind in KINDS:
        with pytest.raises(BadToken):
            signer_of(kind, NEW, OLD).verify(token, NOW)


@pytest.mark.parametrize("expiry", [None, "1", 1.5, [9e9]])
def test_payload_without_expiry(expiry: object) -> None:
    """A payload of ours that has no usable expiry is no token."""
    signer = signer_of("video", NEW)
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


def test_open_with_another_key() -> None:
    """Whoever moved a database without its keys reads what to do."""
    with pytest.raises(BadToken, match="copy secret_keys from the DATA_DIR"):
        Encryptor([OLD]).decrypt(Encryptor([NEW]).encrypt("secret"))


def test_seal_is_no_token() -> None:
    """Seals and tokens derive their keys apart."""
    with pytest.raises(BadToken):
        UrlSigner([NEW], "seal", "").verify(Encryptor([NEW]).encrypt("x"), NOW)


def test_digest() -> None:
    """SHA-256 in hex: the published one of an empty text."""
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == digest("")


class TestKeyRing:
    """The keys of a running process follow those in force."""

    def test_a_key_that_comes(self) -> None:
        """A new key verifies at once, and does not sign: other processes may not know it."""
        keys = [OLD]
        signer = UrlSigner(KeyRing(lambda: list(keys)), "video", f"{URL}/v")
        keys.insert(0, NEW)
        token = made(signer_of("video", NEW), "video")

        assert "vid_1" == signer.verify(token, NOW)["video"]
        assert made(signer_of("video", OLD), "video") == made(signer, "video")

    def test_a_key_that_goes(self) -> None:
        """What an ended key signed is refused from then on, and the next one signs."""
        keys = [OLD]
        ring = KeyRing(lambda: list(keys))
        signer = UrlSigner(ring, "video", f"{URL}/v")
        token = made(signer, "video")
        assert "vid_1" == signer.verify(token, NOW)["video"]
        keys[:] = [NEW]
        with pytest.raises(BadToken):
            signer.verify(token, NOW)

        assert made(signer_of("video", NEW), "video") == made(signer, "video")
        assert ((), [NEW]) == (ring.own(), list(ring))

    def test_a_payload_is_its_readers(self) -> None:
        """Who changes a payload does not change what the next one reads."""
        signer = signer_of("video", NEW)
        token = made(signer, "video")
        signer.verify(token, NOW)["video"] = "vid_2"

        assert "vid_1" == signer.verify(token, NOW)["video"]

    def test_keys_that_cannot_be_read(self) -> None:
        """While the file is away, the process goes on with the keys that it began with."""
        answers = [[NEW, OLD]]

        def read() -> list[str]:
            if not answers:
                raise SettingsError("no file")
            return answers.pop()

        assert [NEW, OLD] == list(KeyRing(read))

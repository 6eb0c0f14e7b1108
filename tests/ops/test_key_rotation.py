"""Rotating the secret keys: nothing that was signed or sealed before is lost."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, select
from support.harness import Harness

from service import store
from service.deliveries.secrets import rotate_secret
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import subscribe
from service.errors import BadToken, Conflict, NotFound, SettingsError
from service.model import utc_now
from service.ops.doctor import findings
from service.ops.key_rotation import (
    OLD_KEY_LIFE,
    add_key,
    make_first_key,
    reencrypt_all,
    revoke_key,
)
from service.ops.setup import initialise
from service.ops.upkeep import Heartbeat, WebHeartbeat
from service.settings import Settings, load_settings
from service.signing import Encryptor, KeyRing, UrlSigner, key_ids
from service.store.encrypted_columns import ENCRYPTED_COLUMNS
from service.store.schema import metadata

pytestmark = pytest.mark.postgresql

NEW = "n" * 40


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose keys lie in a file."""
    found = load_settings({}, data_dir=tmp_path / "data")
    initialise(found)
    return found


def test_newest_first(settings: Settings) -> None:
    """A new key comes before the old ones, in a file that only its owner may read."""
    old = settings.keys()
    assert 2 == add_key(settings, utc_now())
    new = settings.keys()

    assert (2, old) == (len(new), new[1:])
    assert 0o600 == stat.S_IMODE(settings.secret_keys_file.stat().st_mode)
    assert [] == [name for name in os.listdir(settings.data_dir) if name.startswith(".")]


def test_old_tokens_verify(harness: Harness, settings: Settings) -> None:
    """What was signed before is still ours; what is signed now is signed by the new key."""
    now = harness.clock()
    later = now + timedelta(days=30)
    old = UrlSigner(settings.keys(), "video", "").url_for(later, video="vid_1")
    add_key(settings, utc_now())
    signer = UrlSigner(settings.keys(), "video", "")
    alone = UrlSigner(settings.keys()[:1], "video", "")
    new = signer.url_for(later, video="vid_2")

    assert "vid_1" == signer.verify(old.removeprefix("/"), now)["video"]
    assert "vid_2" == alone.verify(new.removeprefix("/"), now)["video"]


def test_old_keys_end(settings: Settings) -> None:
    """An old key ends 30 days after the rotation that made it old; a later one adds no time."""
    now = utc_now()
    first = settings.keys()[0]
    add_key(settings, now)
    second = settings.keys()[0]
    add_key(settings, now + timedelta(days=20))
    third = settings.keys()[0]
    ends = now + OLD_KEY_LIFE

    assert [third, second, first] == settings.keys(ends - timedelta(seconds=2))
    assert [third, second] == settings.keys(ends)
    assert [third] == settings.keys(ends + timedelta(days=20))
    add_key(settings, ends)
    assert first not in settings.secret_keys_file.read_text()


def test_revoked_key(settings: Settings) -> None:
    """A revoked key is gone at once; the newest one and an unknown one are refused by name."""
    old = settings.keys()[0]
    add_key(settings, utc_now())
    new = settings.keys()[0]

    with pytest.raises(Conflict, match="newest"):
        revoke_key(settings, key_ids([new]))
    with pytest.raises(NotFound, match=key_ids([old])):
        revoke_key(settings, "nothing")
    assert 1 == revoke_key(settings, key_ids([old]))
    assert [new] == settings.keys()
    assert old[:8] not in key_ids([old])


def test_rotations_at_the_same_time(settings: Settings) -> None:
    """No key is lost when two rotate at once."""
    old = settings.keys()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: add_key(settings, utc_now()), range(12)))
    found = settings.keys()

    assert (13, old) == (len(set(found)), found[12:])


def test_file_that_cannot_be_replaced(settings: Settings) -> None:
    """A place where nothing can be put is reported in one line; the keys stay as they are."""
    before = settings.keys()
    keys = settings.secret_keys_file
    moved = keys.rename(keys.with_name("kept"))
    keys.mkdir()
    with pytest.raises(SettingsError, match="secret_keys"):
        add_key(settings, utc_now())
    keys.rmdir()
    moved.rename(keys)

    assert before == settings.keys()
    assert [] == [name for name in os.listdir(settings.data_dir) if name.startswith(".")]


def seal_something(harness: Harness) -> None:
    """Beside the account's secret, whatever a subscription seals."""
    w, now = harness.wiring, harness.clock()
    with harness.db.write() as tx:
        given = {"channel": "webhook", "target": "https://example.com/a", "headers": {"X-Key": "k"}}
        spec = parse_subscription(w.channels, given, "")
        made, _ = subscribe(tx, w.encryptor, harness.account.id, spec, now)
        rotate_secret(tx, w.encryptor, made, now)


def encrypted_values(harness: Harness) -> list[str]:
    """Everything that is stored sealed."""
    columns: list[Column[str]] = [table.c[name] for table, name in ENCRYPTED_COLUMNS]
    with harness.db.read() as tx:
        found = [seal for column in columns for seal in tx.scalars(select(column))]
    return [seal for seal in found if seal is not None]


def test_every_seal_is_renewed(harness: Harness) -> None:
    """The newest key alone opens all that is stored; once more changes nothing."""
    seal_something(harness)
    before = [harness.wiring.encryptor.decrypt(seal) for seal in encrypted_values(harness)]
    newest = Encryptor([NEW, *harness.wiring.settings.keys()])
    with harness.db.write() as tx:
        first, again = reencrypt_all(tx, newest), reencrypt_all(tx, newest)

    assert ((5, 0), (0, 0)) == (first, again)
    assert before == [Encryptor([NEW]).decrypt(seal) for seal in encrypted_values(harness)]


def test_every_sealed_column_is_known(harness: Harness) -> None:
    """No column holds a seal that rotating would forget."""
    seal_something(harness)
    with harness.db.read() as tx:
        rows = [(t, row) for t in metadata.sorted_tables for row in tx.execute(select(t)).all()]
    found = {(t.name, n) for t, row in rows for n, v in row._mapping.items() if _is_seal(v)}

    assert found == {(table.name, name) for table, name in ENCRYPTED_COLUMNS}


def _is_seal(value: object) -> bool:
    # How every token of Fernet begins: its version and the first bytes of its time.
    return isinstance(value, str) and value.startswith("gAAAAA")


def test_seal_of_a_lost_key(harness: Harness) -> None:
    """What no key opens is counted and stays; the others are renewed."""
    harness.new_account("bob")
    strange = Encryptor(["x" * 40]).encrypt("whsec_x")
    with harness.db.write() as tx:
        bob = store.accounts.named(tx, "bob")[0]
        store.encrypted_columns.replace(
            tx, lambda old: strange if old == bob.webhook_secret else None
        )
        found = reencrypt_all(tx, Encryptor([NEW, *harness.wiring.settings.keys()]))

    assert (1, 1) == found
    assert strange in encrypted_values(harness)


def test_first_key_is_made_once(tmp_path: Path) -> None:
    """However many processes start at once, they get the same key; what is there stays."""
    settings = load_settings({}, data_dir=tmp_path)

    def start(_: int) -> list[str]:
        make_first_key(settings)
        return settings.keys()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, range(16)))

    assert 1 == len(found[0])
    assert [found[0]] * 16 == found
    assert 0o600 == stat.S_IMODE(settings.secret_keys_file.stat().st_mode)


def test_doctor_compares_the_keys_of_hosts(harness: Harness) -> None:
    """A worker that runs with other keys is named, one with the same keys or long gone is not."""
    Heartbeat(harness.wiring).beat()
    (same,) = findings(harness.wiring, ["secret keys"])
    with harness.db.write() as tx:
        now = harness.clock()
        store.work.beat(tx, "gone-1", now - timedelta(minutes=2), key_ids="00000000")
        store.work.beat(tx, "other-1", now, key_ids="00000000")
    (differ,) = findings(harness.wiring, ["secret keys"])

    assert (True, False) == (same.ok, differ.ok)
    assert "other-1" in differ.message and "gone-1" not in differ.message
    assert "CLIPBELL_SECRET_KEYS" in differ.message


def test_doctor_compares_the_keys_of_web_processes(harness: Harness) -> None:
    """A web process with other keys is named, and counts as no worker."""
    WebHeartbeat(harness.wiring).beat()
    (same,) = findings(harness.wiring, ["secret keys"])
    WebHeartbeat(replace(harness.wiring, keys=KeyRing(lambda: [NEW]))).beat()
    (differ,) = findings(harness.wiring, ["secret keys"])
    with harness.db.read() as tx:
        workers = store.counts.workers_since(tx, harness.clock() - timedelta(minutes=1))
        last = store.work.last_beat(tx)

    assert (True, False) == (same.ok, differ.ok)
    assert "web:" in differ.message
    assert (0, None) == (workers, last)


def test_database_without_its_keys(settings: Settings) -> None:
    """`init` refuses a database that came without its keys, and leaves no key that does not fit."""
    kept = settings.secret_keys_file.read_bytes()
    settings.secret_keys_file.unlink()
    with pytest.raises(BadToken, match="copy secret_keys from the DATA_DIR"):
        initialise(settings)
    left = settings.secret_keys_file.exists()
    settings.secret_keys_file.write_bytes(kept)

    assert not left
    assert initialise(settings)["webhook_secret"].startswith("whsec_")


def test_doctor_tries_the_keys(harness: Harness) -> None:
    """Keys that do not open what is stored are found, also where every process has them."""
    strange = Encryptor([NEW]).encrypt("whsec_x")
    with harness.db.write() as tx:
        store.encrypted_columns.replace(tx, lambda _: strange)
    (found,) = findings(harness.wiring, ["secret keys"])

    assert not found.ok
    assert "copy secret_keys from the DATA_DIR" in found.message

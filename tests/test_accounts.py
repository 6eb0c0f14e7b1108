"""Accounts and keys: what is kept of them, and who is recognised."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from support.harness import Harness

from service import store
from service.accounts import (
    SCOPES,
    create_account,
    create_key,
    find_account,
    key_in_force,
    revoke_key,
)
from service.errors import Conflict, InvalidInput, NotFound
from service.model import new_id
from service.signing import digest

pytestmark = pytest.mark.postgresql


def test_key_is_shown_once(harness: Harness) -> None:
    """The key is random and long; its row holds only its digest and its first letters."""
    with harness.db.write() as tx:
        key = create_key(tx, harness.account.id, "ci", ("read",), harness.clock.advance(1))
        row = store.accounts.keys(tx, harness.account.id)[-1]

    assert re.fullmatch(r"clb_[\w-]{43}", key)
    assert (digest(key), key[:8], ["read"]) == (row.digest, row.key_prefix, row.scopes)
    assert key not in repr(row)


def test_account_secret_is_sealed(harness: Harness) -> None:
    """An account's webhook secret is unreadable in its row, and opens to a Standard one."""
    assert "whsec" not in harness.account.webhook_secret
    assert re.fullmatch(
        r"whsec_[A-Za-z0-9+/]{43}=",
        harness.wiring.encryptor.decrypt(harness.account.webhook_secret),
    )


def test_recognised(harness: Harness) -> None:
    """A key leads to its own account, with its scopes."""
    _, bobs = harness.new_account("bob")
    with harness.db.read() as tx:
        mine, his = key_in_force(tx, harness.key), key_in_force(tx, bobs)

    assert mine is not None
    assert his is not None
    assert (harness.account.id, list(SCOPES)) == (mine.account_id, mine.scopes)
    assert mine.account_id != his.account_id


@pytest.mark.parametrize("key", ["", " ", "clb_", "x" * 10_000, "clb_\x00", "ключ"])
def test_not_recognised(harness: Harness, key: str) -> None:
    """Anything else is nobody's key."""
    with harness.db.read() as tx:
        assert key_in_force(tx, key) is None


def test_nearly_the_key(harness: Harness) -> None:
    """Neither a part of a key nor its digest is one."""
    with harness.db.read() as tx:
        for wrong in (
            harness.key[:-1],
            harness.key + "A",
            harness.key.upper(),
            digest(harness.key),
        ):
            assert key_in_force(tx, wrong) is None


def test_revoked(harness: Harness) -> None:
    """A revoked key ends at once, and only that one; its row stays."""
    with harness.db.write() as tx:
        other = create_key(tx, harness.account.id, "ci", SCOPES, harness.clock.advance(1))
        row = key_in_force(tx, other)
        assert row is not None
        store.accounts.revoke_key(tx, row.id, harness.clock())
    with harness.db.read() as tx:
        assert key_in_force(tx, other) is None
        assert store.accounts.key(tx, row.id) is None
        assert key_in_force(tx, harness.key) is not None
        rows = store.accounts.keys(tx, harness.account.id)

    assert [None, harness.clock()] == [row.revoked_at for row in rows]


def test_first_account(harness: Harness) -> None:
    """The command line's account is the oldest one."""
    harness.clock.advance(timedelta(days=1).total_seconds())
    harness.new_account("bob")
    with harness.db.write() as tx:
        create_account(tx, harness.wiring.encryptor, "charlie", "c@example.com", harness.clock())
        assert harness.account == store.accounts.first(tx)


def test_found_by_id_or_name(harness: Harness) -> None:
    """An account is found by either; of a name that nobody has, that is reported."""
    with harness.db.read() as tx:
        assert harness.account == find_account(tx, harness.account.id) == find_account(tx, "alice")
        with pytest.raises(NotFound, match="no account bob"):
            find_account(tx, "bob")


def test_name_of_another(harness: Harness) -> None:
    """Two accounts of one name cannot be made; where there are some, the ids are asked for."""
    with harness.db.write() as tx:
        with pytest.raises(Conflict, match="choose another"):
            create_account(tx, harness.wiring.encryptor, "alice", None, harness.clock())
        twin = replace(harness.account, id=new_id("acc", harness.clock()))
        store.accounts.insert(tx, twin)
        with pytest.raises(Conflict, match=twin.id):
            find_account(tx, "alice")


def test_key_of_another(harness: Harness) -> None:
    """Nobody revokes the key of another account."""
    bob, key = harness.new_account("bob")
    with harness.db.write() as tx:
        row = key_in_force(tx, key)
        assert row is not None
        with pytest.raises(NotFound):
            revoke_key(tx, harness.account.id, row.id, harness.clock())
        assert key_in_force(tx, key) == row
        assert harness.clock() == revoke_key(tx, bob.id, row.id, harness.clock()).revoked_at


@pytest.mark.parametrize("scopes", [(), ("read", "all"), ("",)])
def test_scopes(harness: Harness, scopes: tuple[str, ...]) -> None:
    """A key has at least one scope, and none that means nothing."""
    with harness.db.write() as tx, pytest.raises(InvalidInput, match="read, submit"):
        create_key(tx, harness.account.id, "ci", scopes, harness.clock())

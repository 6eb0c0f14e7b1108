"""Accounts and keys: what is kept of them, and who is recognised."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from conftest import Bench

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


def test_key_is_shown_once(bench: Bench) -> None:
    """The key is random and long; its row holds only its digest and its first letters."""
    with bench.db.write() as tx:
        key = create_key(tx, bench.account.id, "ci", ("read",), bench.clock.advance(1))
        row = store.accounts.keys(tx, bench.account.id)[-1]

    assert re.fullmatch(r"clb_[\w-]{43}", key)
    assert (digest(key), key[:8], ["read"]) == (row.digest, row.key_prefix, row.scopes)
    assert key not in repr(row)


def test_account_secret_is_sealed(bench: Bench) -> None:
    """An account's webhook secret is unreadable in its row, and opens to a Standard one."""
    assert "whsec" not in bench.account.webhook_secret
    assert re.fullmatch(
        r"whsec_[A-Za-z0-9+/]{43}=", bench.wiring.encryptor.decrypt(bench.account.webhook_secret)
    )


def test_recognised(bench: Bench) -> None:
    """A key leads to its own account, with its scopes."""
    _, bobs = bench.new_account("bob")
    with bench.db.read() as tx:
        mine, his = key_in_force(tx, bench.key), key_in_force(tx, bobs)

    assert mine is not None
    assert his is not None
    assert (bench.account.id, list(SCOPES)) == (mine.account_id, mine.scopes)
    assert mine.account_id != his.account_id


@pytest.mark.parametrize("key", ["", " ", "clb_", "x" * 10_000, "clb_\x00", "ключ"])
def test_not_recognised(bench: Bench, key: str) -> None:
    """Anything else is nobody's key."""
    with bench.db.read() as tx:
        assert key_in_force(tx, key) is None


def test_nearly_the_key(bench: Bench) -> None:
    """Neither a part of a key nor its digest is one."""
    with bench.db.read() as tx:
        for wrong in (bench.key[:-1], bench.key + "A", bench.key.upper(), digest(bench.key)):
            assert key_in_force(tx, wrong) is None


def test_revoked(bench: Bench) -> None:
    """A revoked key ends at once, and only that one; its row stays."""
    with bench.db.write() as tx:
        other = create_key(tx, bench.account.id, "ci", SCOPES, bench.clock.advance(1))
        row = key_in_force(tx, other)
        assert row is not None
        store.accounts.revoke_key(tx, row.id, bench.clock())
    with bench.db.read() as tx:
        assert key_in_force(tx, other) is None
        assert store.accounts.key(tx, row.id) is None
        assert key_in_force(tx, bench.key) is not None
        rows = store.accounts.keys(tx, bench.account.id)

    assert [None, bench.clock()] == [row.revoked_at for row in rows]


def test_first_account(bench: Bench) -> None:
    """The command line's account is the oldest one."""
    bench.clock.advance(timedelta(days=1).total_seconds())
    bench.new_account("bob")
    with bench.db.write() as tx:
        create_account(tx, bench.wiring.encryptor, "charlie", "c@example.com", bench.clock())
        assert bench.account == store.accounts.first(tx)


def test_found_by_id_or_name(bench: Bench) -> None:
    """An account is found by either; of a name that nobody has, that is reported."""
    with bench.db.read() as tx:
        assert bench.account == find_account(tx, bench.account.id) == find_account(tx, "alice")
        with pytest.raises(NotFound, match="no account bob"):
            find_account(tx, "bob")


def test_name_of_another(bench: Bench) -> None:
    """Two accounts of one name cannot be made; where there are some, the ids are asked for."""
    with bench.db.write() as tx:
        with pytest.raises(Conflict, match="choose another"):
            create_account(tx, bench.wiring.encryptor, "alice", None, bench.clock())
        twin = replace(bench.account, id=new_id("acc", bench.clock()))
        store.accounts.insert(tx, twin)
        with pytest.raises(Conflict, match=twin.id):
            find_account(tx, "alice")


def test_key_of_another(bench: Bench) -> None:
    """Nobody revokes the key of another account."""
    bob, key = bench.new_account("bob")
    with bench.db.write() as tx:
        row = key_in_force(tx, key)
        assert row is not None
        with pytest.raises(NotFound):
            revoke_key(tx, bench.account.id, row.id, bench.clock())
        assert key_in_force(tx, key) == row
        assert bench.clock() == revoke_key(tx, bob.id, row.id, bench.clock()).revoked_at


@pytest.mark.parametrize("scopes", [(), ("read", "all"), ("",)])
def test_scopes(bench: Bench, scopes: tuple[str, ...]) -> None:
    """A key has at least one scope, and none that means nothing."""
    with bench.db.write() as tx, pytest.raises(InvalidInput, match="read, submit"):
        create_key(tx, bench.account.id, "ci", scopes, bench.clock())

"""Sealed bytes open where they belong, with a key that is known, unchanged; and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.errors import SealBroken
from mpesa_balance.sealing import key_id, new_key, parse_key, parse_sealer

# Fixed, so that every test process collects the same tests.
OLD = base64.b64encode(b"o" * 32).decode()
NEW = base64.b64encode(bytes(range(32))).decode()
SEALER = parse_sealer(f"new:{NEW},old:{OLD}")


@given(st.binary(max_size=100), st.text(max_size=20))
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: str) -> None:
    assert SEALER.open(SEALER.seal(plain, place), place) == plain


def test_it_opens_in_no_other_place() -> None:
    with pytest.raises(SealBroken):
        SEALER.open(SEALER.seal(b"1", "balances/1"), "balances/2")


@given(st.integers(0, 200))
def test_a_changed_byte_anywhere_breaks_the_seal(at: int) -> None:
    sealed = bytearray(SEALER.seal(b"x" * 20, "here"))
    sealed[at % len(sealed)] ^= 1
    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed), "here")


@given(st.binary(max_size=60))
def test_any_other_bytes_break_it(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        SEALER.open(sealed, "here")


def test_an_older_key_still_opens_and_the_first_one_seals() -> None:
    old = parse_sealer(f"old:{OLD}").seal(b"1", "here")
    assert SEALER.open(old, "here") == b"1"
    assert SEALER.seal(b"1", "here")[2:5] == b"new"


def test_a_missing_key_is_named() -> None:
    sealed = SEALER.seal(b"1", "here")
    with pytest.raises(SealBroken, match="here is sealed with key 'new'"):
        parse_sealer(f"old:{OLD}").open(sealed, "here")


@pytest.mark.parametrize(
    "head",
    [b"", b"\x01", b"\x01\x00", b"\x02\x02ab", b"\x01\x03ab", b"\x01\x02\x1b[", b"\x01\x21" + b"a" * 33],
)
def test_what_names_no_key_is_no_envelope(head: bytes) -> None:
    with pytest.raises(SealBroken, match="what stands at here is not a sealed envelope"):
        key_id(head, "here")
    assert key_id(b"\x01\x20" + b"a" * 32, "here") == "a" * 32


def test_every_envelope_begins_with_the_head_of_its_sealer() -> None:
    assert SEALER.first == key_id(SEALER.head, "here") == "new"
    assert SEALER.seal(b"1", "here").startswith(SEALER.head)


def test_two_seals_of_one_text_differ() -> None:
    assert SEALER.seal(b"1", "here") != SEALER.seal(b"1", "here")


def test_plain_text_and_keys_are_in_no_repr() -> None:
    assert NEW not in repr(SEALER)
    assert b"secret" not in SEALER.seal(b"secret", "here")


@pytest.mark.parametrize("text", ["", "k", "k:", f"k:{NEW[:-8]}", f"k:{NEW},k:{OLD}", f"k {NEW}", "k:!!!"])
def test_a_malformed_key_ring_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be") as raised:
        parse_sealer(text)
    assert NEW[:20] not in str(raised.value)


def test_a_new_key_has_32_bytes() -> None:
    assert len(parse_key(new_key())) == 32

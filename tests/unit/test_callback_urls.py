"""Signed callback addresses: ours are known, all others are not, and Daraja accepts them."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.callback_urls import (
    FORBIDDEN_WORDS,
    CallbackSigner,
    base_url_violations,
    payload_digest,
)
from mpesa_balance.errors import CallbackRejected

OLD, NEW = b"o" * 32, b"n" * 32
SIGNER = CallbackSigner((NEW, OLD))


@given(st.uuids())
def test_a_token_of_ours_gives_its_attempt_back(attempt_id: UUID) -> None:
    assert SIGNER.attempt_id(SIGNER.token(attempt_id)) == attempt_id


@given(st.uuids())
def test_a_token_holds_no_word_that_daraja_refuses(attempt_id: UUID) -> None:
    assert not any(word in SIGNER.token(attempt_id) for word in FORBIDDEN_WORDS)


@given(st.uuids(), st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_a_token_with_any_digit_changed_is_rejected(attempt_id: UUID, at: int, digit: str) -> None:
    token = SIGNER.token(attempt_id)
    if token[at] != digit:
        with pytest.raises(CallbackRejected) as rejected:
            SIGNER.attempt_id(token[:at] + digit + token[at + 1 :])
        assert rejected.value.status == 404


@given(st.text(max_size=80))
def test_any_other_text_is_rejected(text: str) -> None:
    with pytest.raises(CallbackRejected):
        SIGNER.attempt_id(text)


def test_a_token_signed_before_a_rotation_still_opens() -> None:
    attempt_id = uuid4()
    assert SIGNER.attempt_id(CallbackSigner((OLD,)).token(attempt_id)) == attempt_id


def test_the_first_key_signs() -> None:
    assert SIGNER.token(UUID(int=1)) == CallbackSigner((NEW,)).token(UUID(int=1))


def test_a_token_signed_with_a_key_that_was_dropped_does_not() -> None:
    with pytest.raises(CallbackRejected):
        SIGNER.attempt_id(CallbackSigner((b"x" * 32,)).token(uuid4()))


def test_both_addresses_stand_below_the_base() -> None:
    urls = SIGNER.urls("https://pay.example.co.ke/", UUID(int=1))
    assert urls["result"].startswith("https://pay.example.co.ke/callbacks/balance/0000")
    assert urls["timeout"] == urls["result"].removesuffix("result") + "timeout"


def test_keys_are_in_no_repr() -> None:
    assert "ooo" not in repr(SIGNER)


def test_equal_bytes_have_equal_digests_under_one_token_only() -> None:
    assert payload_digest("a", b"x") == payload_digest("a", b"x")
    assert payload_digest("a", b"x") != payload_digest("b", b"x")


@pytest.mark.parametrize("base_url", ["", "example.org", "ftp://example.org", "https://", "//x/y"])
def test_what_is_no_address_is_refused(base_url: str) -> None:
    assert base_url_violations(base_url, production=False)


@pytest.mark.parametrize("word", FORBIDDEN_WORDS)
def test_an_address_with_a_forbidden_word_is_refused(word: str) -> None:
    assert f"contains {word!r}" in base_url_violations(f"https://{word}.org", production=False)[0]


def test_all_that_production_refuses_is_said_at_once() -> None:
    said = base_url_violations("http://mpesa.ngrok.io/?a=b", production=True)
    assert len(said) == 4


def test_a_plain_https_address_is_fine_everywhere() -> None:
    assert base_url_violations("https://pay.example.co.ke/daraja", production=True) == []

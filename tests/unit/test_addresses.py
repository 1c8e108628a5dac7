"""Where callbacks come from: twelve known addresses, and a policy about the others."""

import pytest

from mpesa_balance.addresses import KNOWN, AddressPolicy, is_known, parse_policy


def test_twelve_addresses_are_known() -> None:
    assert len(KNOWN) == 12
    assert all(is_known(address) for address in KNOWN)
    assert is_known("::ffff:196.201.214.200")


@pytest.mark.parametrize("address", [None, "", "127.0.0.1", "196.201.214.2", "::1", "x"])
def test_no_other_is(address: str | None) -> None:
    assert not is_known(address)


def test_a_policy_is_one_of_three() -> None:
    assert parse_policy("Enforce") is AddressPolicy.ENFORCE
    with pytest.raises(ValueError, match="off, flag, enforce"):
        parse_policy("strict")

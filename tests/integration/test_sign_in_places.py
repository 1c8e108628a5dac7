"""Who counts as whom when somebody signs in: names that look alike, and addresses of one network."""

import pytest

from mpesa_balance.errors import NotSignedIn
from mpesa_balance.people import password_hashes, signing_in
from mpesa_balance.people.signing_in import MOST_OF_BOTH, TooManyAttempts
from tests.integration.answers import row, rows
from tests.integration.console_desk import PASSWORD
from tests.integration.peopled import add
from worker.house import House

pytestmark = pytest.mark.console


@pytest.mark.parametrize("alike", ["\u017f\u017fkelly", "s\u017f\u212aelly", "\u00dfkelly", "\uff53skelly"])
def test_a_name_that_only_looks_like_another_is_not_that(house: House, alike: str) -> None:
    """Case folding would make the same of them."""
    add(house, "sskelly", password=True)
    with pytest.raises(NotSignedIn):
        signing_in.by_password(house.database, alike, PASSWORD, "192.0.2.1")
    with pytest.raises(NotSignedIn), house.database.transaction() as connection:
        signing_in.by_single_sign_on(connection, alike, "issuer 1")
    assert row(house, "SELECT oidc_subject FROM users") == {"oidc_subject": None}
    assert signing_in.by_password(house.database, "SSKelly", PASSWORD, "192.0.2.1") == "sskelly"


@pytest.mark.parametrize(
    ("addresses", "counted"),
    [
        (["2001:db8::1", "2001:db8::2:0:b", "2001:db8:0:0:ffff::"], "2001:db8::/64"),
        (["::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"], "192.0.2.7"),
    ],
)
def test_addresses_that_one_host_can_have_count_as_one(
    house: House, addresses: list[str], counted: str
) -> None:
    add(house, "alice", password=True)
    for number in range(MOST_OF_BOTH):
        with pytest.raises(NotSignedIn):
            signing_in.by_password(house.database, "alice", "wrong", addresses[number % 3])
    assert rows(house, "SELECT DISTINCT address FROM sign_in_attempts") == [{"address": counted}]
    with pytest.raises(TooManyAttempts):
        signing_in.by_password(house.database, "alice", PASSWORD, addresses[-1])


def test_another_password_takes_the_links_that_are_out(house: House) -> None:
    add(house, "alice", password=True)
    with house.database.transaction() as connection:
        signing_in.set_password(connection, "alice", password_hashes.hashed("nine hungry hippos", "alice"))
    assert rows(house, "SELECT * FROM sign_in_links") == []

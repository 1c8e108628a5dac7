"""Queries and balances of several shortcodes, opened and ended as a test wants them."""

from datetime import datetime
from uuid import UUID, uuid4

from mpesa_balance import balance_requests, shortcodes
from mpesa_balance.contract import BalanceAsk
from tests.conftest import SHORTCODE, entry_of
from tests.integration.answers import BALANCE, begin, failure, record, rows, success
from worker.house import House


def add_shortcode(house: House, shortcode: str) -> str:
    """Register another shortcode."""
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of(shortcode))
    return shortcode


def opened(house: House, shortcode: str = SHORTCODE, at: datetime | None = None) -> UUID:
    """A pending query of a shortcode, as if it had been opened at that instant."""
    ask = BalanceAsk(shortcode=shortcode, force=True)
    answer = balance_requests.new_answer("app")
    with house.database.transaction() as connection:
        assert balance_requests.record(connection, uuid4(), ask, answer, 600)
    if at is not None:
        rows(
            house,
            "UPDATE balance_queries SET created_at = %s WHERE id = %s RETURNING id",
            at,
            answer.query_id,
        )
    return answer.query_id


def completed(
    house: House, shortcode: str = SHORTCODE, balance: str = BALANCE, at: datetime | None = None
) -> UUID:
    """A completed query of a shortcode, as if its balance had stood so at that instant."""
    query_id = opened(house, shortcode)
    record(house, begin(house, query_id), success(balance))
    if at is not None:
        rows(house, "UPDATE balances SET as_of = %s WHERE query_id = %s RETURNING query_id", at, query_id)
    return query_id


def failed(house: House, shortcode: str = SHORTCODE, code: str = "2001") -> UUID:
    """A query of a shortcode that M-PESA has refused."""
    query_id = opened(house, shortcode)
    record(house, begin(house, query_id), failure(code))
    return query_id

"""The initiators' passwords live for 90 days: told of from day 76, and again when they have expired."""

import pytest

from mpesa_balance import passwords, shortcodes
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from worker.house import House
from worker.sweeper import sweep


def told(house: House) -> list[str]:
    found = rows(house, "SELECT topic FROM outbox WHERE shortcode = %s ORDER BY created_at", SHORTCODE)
    return [one["topic"] for one in found]


def let_pass(house: House, days: float) -> None:
    statement = "UPDATE shortcodes SET credential_set_at = now() - make_interval(secs => %s) RETURNING app"
    rows(house, statement, days * 86_400)


@pytest.mark.parametrize(
    ("days", "topics"),
    [
        (0, []),
        (75.9, []),
        (76, ["password_ageing"]),
        (89.9, ["password_ageing"]),
        (90, ["password_expired"]),
    ],
)
def test_a_password_is_told_of_by_its_age(house: House, days: float, topics: list[str]) -> None:
    let_pass(house, days)
    sweep(house)
    assert told(house) == topics


def test_each_age_is_told_once_however_many_sweep(house: House) -> None:
    for days in (76.1, 80, 90.1, 100):
        let_pass(house, days)
        sweep(house)
        sweep(house)
    assert told(house) == ["password_ageing", "password_expired"]


def test_a_new_password_is_young_and_is_told_of_again_when_it_is_old(house: House) -> None:
    let_pass(house, 80)
    sweep(house)
    with house.database.transaction() as connection:
        entry = shortcodes.named(connection, house.database.sealer, SHORTCODE)
        shortcodes.add(connection, house.database.sealer, entry, replace=True)
    sweep(house)
    assert told(house) == ["password_ageing"]
    let_pass(house, 80)
    sweep(house)
    assert told(house) == ["password_ageing"] * 2


def test_the_notice_says_what_to_do_and_nothing_of_the_password(house: House) -> None:
    let_pass(house, 91)
    sweep(house)
    (notice,) = rows(house, "SELECT message FROM outbox")
    assert "shortcodes add --replace" in notice["message"]
    assert "Pa55word" not in notice["message"]


def test_what_an_age_means_is_the_same_for_the_list_the_doctor_and_the_notices() -> None:
    found = [passwords.outlook(days) for days in (0, 75, 76, 89, 90, 400)]
    assert found == ["fresh", "fresh", "ageing", "ageing", "expired", "expired"]


def test_the_age_of_a_registered_password_is_read_with_its_shortcode(house: House) -> None:
    let_pass(house, 76.5)
    with house.database.transaction() as connection:
        assert shortcodes.named(connection, house.database.sealer, SHORTCODE).password_age_days == 76

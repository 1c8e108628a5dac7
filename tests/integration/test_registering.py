"""Apps and shortcodes: what is registered, and what of it opens where."""

from dataclasses import replace

import pytest

from mpesa_balance import apps, breaker, shortcodes
from mpesa_balance.apps import BASE_URLS
from mpesa_balance.errors import NotFound, RequestRefused, SealBroken
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from worker.house import House


def test_darajas_hosts_are_those_of_its_documentation() -> None:
    assert BASE_URLS == {
        "sandbox": "https://sandbox.safaricom.co.ke",
        "production": "https://api.safaricom.co.ke",
    }


def test_everything_that_is_wrong_with_an_app_is_said_at_once(house: House) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        wrong = replace(app, name="No!", environment="production", base_url="http://x")
        with pytest.raises(RequestRefused) as refused:
            apps.add(connection, house.database.sealer, wrong)
    assert len(refused.value.violations) == 2


def test_an_address_is_kept_without_its_last_slash(house: House) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        added = replace(app, name="slashed", base_url="https://x/")
        apps.add(connection, house.database.sealer, added)
        assert apps.named(connection, house.database.sealer, "slashed").base_url == "https://x"


def test_key_and_secret_of_an_app_do_not_open_in_each_others_place(house: House) -> None:
    rows(house, "UPDATE daraja_apps SET consumer_key = consumer_secret RETURNING name")
    with pytest.raises(SealBroken), house.database.transaction() as connection:
        apps.named(connection, house.database.sealer, "app")


def test_a_credential_does_not_open_for_another_shortcode(house: House) -> None:
    rows(house, "UPDATE shortcodes SET shortcode = '600001' RETURNING shortcode")
    with pytest.raises(SealBroken), house.database.transaction() as connection:
        shortcodes.named(connection, house.database.sealer, "600001")


def test_a_new_credential_has_a_new_date_and_the_old_suspension_stays(house: House) -> None:
    rows(house, "UPDATE shortcodes SET credential_set_at = '2026-01-01' RETURNING shortcode")
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "locked")
        entry = shortcodes.named(connection, house.database.sealer, SHORTCODE)
        changed = replace(entry, credential="new")
        shortcodes.add(connection, house.database.sealer, changed, replace=True)
        now = shortcodes.named(connection, house.database.sealer, SHORTCODE)
    assert entry.credential_set_at is not None
    assert now.credential_set_at is not None
    assert now.credential_set_at > entry.credential_set_at
    assert (now.credential, now.suspended_because) == ("new", "locked")


def test_what_is_not_registered_is_not_found(house: House) -> None:
    with house.database.transaction() as connection:
        for change in (breaker.resume, lambda c, s: breaker.suspend(c, s, "x")):
            with pytest.raises(NotFound, match="shortcodes add 699999"):
                change(connection, "699999")


def test_secrets_are_in_no_repr(house: House) -> None:
    with house.database.transaction() as connection:
        shown = repr(apps.every(connection, house.database.sealer))
        shown += repr(shortcodes.every(connection, house.database.sealer))
    assert "Pa55word" not in shown
    assert "secret'" not in shown

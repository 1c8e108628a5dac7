"""Carrying out the checks: none is left out, whatever the others find."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from mpesa_balance.errors import NotFound
from mpesa_balance.sealing import new_key
from ops.doctor.checks import CHECKS, Check
from ops.doctor.examination import examine, examine_all
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Finding, Verdict, ok, unknown
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from tests.integration.doctoring import set_environment
from worker.house import House


@pytest.fixture
def environment(house: House, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> pytest.MonkeyPatch:
    set_environment(monkeypatch, house.settings, keys)
    return monkeypatch


def examined(shortcode: str | None = None) -> list[Finding]:
    """What is found by all checks but one: workers are given a second to answer, and none runs here."""
    with Patient(shortcode) as patient:
        return examine_all(patient, [check for check in CHECKS if check.name != "workers"])


def of(findings: list[Finding], area: str) -> list[tuple[str, str]]:
    return [(str(one.opinion.verdict), one.opinion.finding) for one in findings if one.area == area]


def test_every_need_is_the_name_of_an_earlier_check() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for at, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:at]), check.name


def test_findings_come_area_by_area_and_each_shortcode_is_one(
    environment: pytest.MonkeyPatch, house: House
) -> None:
    rows(
        house,
        "INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential) "
        "SELECT '600001', app, identifier_type, initiator, credential_kind, credential FROM shortcodes "
        "RETURNING shortcode",
    )
    areas = [finding.area for finding in examined()]
    assert list(dict.fromkeys(areas)) == [
        *("settings", "database", "registrations", "broker", "keys"),
        *("app app", "callbacks", "inbox", "shortcode 600000", "shortcode 600001"),
    ]
    assert areas == sorted(areas, key=areas.index)


def test_a_credential_that_does_not_open_leaves_the_other_checks_of_its_shortcode(
    environment: pytest.MonkeyPatch, house: House
) -> None:
    environment.setenv("SEALING_KEYS", f"other:{new_key()}")
    findings = of(examined(SHORTCODE), f"shortcode {SHORTCODE}")
    told = [finding for verdict, finding in findings if verdict == "unknown"]
    assert len(told) == 2
    assert all("cannot tell, because shortcodes/600000/credential" in finding for finding in told)
    assert "ok" in [verdict for verdict, _ in findings]


def test_without_stores_and_settings_nothing_is_left_out(environment: pytest.MonkeyPatch) -> None:
    """What cannot be looked at is unknown, and says what is in the way."""
    environment.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/db")
    environment.setenv("BROKER_URL", "redis://127.0.0.1:1/0")
    environment.delenv("CALLBACK_KEYS")
    findings = examine(SHORTCODE)
    assert len(findings) == len(CHECKS)
    verdicts = [finding.opinion.verdict for finding in findings]
    assert (verdicts.count(Verdict.ERROR), verdicts.count(Verdict.UNKNOWN)) == (3, len(CHECKS) - 3)
    assert all("onnection refused" in finding for _, finding in of(findings, "database"))
    assert all("CALLBACK_KEYS" in finding for _, finding in of(findings, "callbacks"))


def test_a_named_shortcode_that_is_not_registered_is_the_end(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="shortcodes add 699999"):
        examine("699999")


def test_a_database_that_is_not_migrated_is_named_by_all_that_need_it(
    environment: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database_url)
    findings = examined()
    for area in ("registrations", "keys", "app", "shortcode"):
        assert all("migrations are waiting" in finding for _, finding in of(findings, area)), area


@pytest.fixture
def grant(environment: pytest.MonkeyPatch, database_url: str) -> Callable[[str], None]:
    """Looks at the database as a new role that may read these tables only."""

    def grant(tables: str) -> None:
        role = f"teller_{uuid4().hex}"
        with psycopg.connect(database_url, autocommit=True) as connection:
            for statement in ("CREATE ROLE {} LOGIN", f"GRANT SELECT ON {tables} TO {{}}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(role)))  # type: ignore[arg-type]
        environment.setenv("DATABASE_URL", database_url.replace("postgres:@", f"{role}:@"))

    return grant


def test_a_table_that_may_not_be_read_is_unknown_and_not_the_end(grant: Callable[[str], None]) -> None:
    grant("_yoyo_migration, daraja_apps, shortcodes")
    found = of(examined(), f"shortcode {SHORTCODE}")
    assert [verdict for verdict, _ in found] == ["ok"] * 4 + ["unknown"] * 4
    assert all("permission denied for table" in finding for _, finding in found[4:])


def test_where_nobody_can_tell_what_is_registered_nothing_is_guessed(
    grant: Callable[[str], None],
) -> None:
    grant("_yoyo_migration")
    findings = examined()
    for area in ("registrations", "app", "shortcode"):
        found = of(findings, area)
        assert {verdict for verdict, _ in found} == {"unknown"}
        assert all("permission denied for table" in finding for _, finding in found)


def test_what_is_built_on_something_unknown_is_unknown() -> None:
    checks = (
        Check("ground", "ground", lambda _: [unknown("it is dark", "wait")]),
        Check("house", "house", lambda _: [ok("it stands")], needs=("ground",)),
    )
    (_, found) = examine_all(Patient(), checks)
    assert found.opinion.verdict == "unknown"
    assert found.opinion.finding == "house: cannot tell, because it is dark"

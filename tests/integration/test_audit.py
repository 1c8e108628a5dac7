"""The audit trail: appended with what it tells of, changed by nobody, read newest first."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from mpesa_balance import audit, breaker
from mpesa_balance.audit import Action
from tests.conftest import SHORTCODE
from tests.integration.answers import row, rows
from tests.integration.trail import told, trail
from worker.house import House
from worker.intake import open_request

ALICE = "cli:alice@till-1"


def add(house: House, actor: str = ALICE, subject: str = SHORTCODE, detail: str = "") -> None:
    with house.database.transaction() as connection:
        audit.add(connection, actor, Action.SHORTCODE_RESUMED, subject, detail)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE false",
        "TRUNCATE audit",
        "MERGE INTO audit a USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_what_was_written_stays_whoever_runs_the_statement(house: House, statement: str, role: str) -> None:
    """The tests are a superuser, which alone may say that its session replicates."""
    add(house)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        rows(house, f"SET LOCAL session_replication_role = {role}; {statement}")
    assert [told(entry) for entry in trail(house)] == [(ALICE, "shortcode_resumed", SHORTCODE)]


def test_a_role_of_the_programs_own_can_add_and_read_and_nothing_else(
    house: House, database_url: str
) -> None:
    """With the statements of the migration: not even the time of an entry is the program's to choose."""
    role = f"house_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role}")  # type: ignore[arg-type]
        owner.execute(f"REVOKE ALL ON audit FROM PUBLIC, {role}")  # type: ignore[arg-type]
        owner.execute(f"GRANT SELECT, INSERT (actor, action, subject, detail) ON audit TO {role}")  # type: ignore[arg-type]
        try:
            with house.database.transaction() as connection:
                connection.execute(f"SET LOCAL ROLE {role}")
                audit.add(connection, ALICE, Action.SHORTCODE_RESUMED, SHORTCODE)
            for refused in (
                "INSERT INTO audit (happened_at, actor, action, subject) VALUES (now(), '', '', '')",
                "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
                "DROP TABLE audit",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    rows(house, f"SET LOCAL ROLE {role}; {refused}")
        finally:
            owner.execute(f"DROP OWNED BY {role}")  # type: ignore[arg-type]
            owner.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]
    assert len(trail(house)) == 1


def test_a_change_that_is_taken_back_leaves_no_entry(house: House) -> None:
    with pytest.raises(ZeroDivisionError), house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "by hand")
        audit.add(connection, ALICE, Action.SHORTCODE_SUSPENDED, SHORTCODE)
        raise ZeroDivisionError
    assert trail(house) == []


def test_texts_of_strangers_are_made_fit_to_store_and_hold_no_amount(house: House) -> None:
    add(house, actor="pay\x00roll\ud800" + "x" * 500, detail="it had 12,345.67\n" + "y" * 900)
    (entry,) = trail(house)
    assert (len(entry.actor), len(entry.detail)) == (200, 500)
    assert entry.actor.startswith("pay\ufffdroll\ufffd")
    assert entry.detail.startswith("it had [amount]\ufffdyyy")


def test_who_asked_is_among_the_rest_and_written_once(house: House) -> None:
    named, unnamed = uuid4(), uuid4()
    open_request(house, str(named), {"shortcode": SHORTCODE, "requested_by": "payroll"})
    add(house)
    open_request(house, str(unnamed), {"shortcode": SHORTCODE})
    assert [told(entry) for entry in trail(house)] == [
        (audit.UNNAMED_CALLER, "asked", SHORTCODE),
        (ALICE, "shortcode_resumed", SHORTCODE),
        ("payroll", "asked", SHORTCODE),
    ]
    query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", named)["query_id"]
    assert trail(house)[0].detail == f"request {unnamed}, query {query}, joined"
    assert trail(house)[2].detail == f"request {named}, query {query}, opened"
    assert len(rows(house, "SELECT FROM audit")) == 1


def test_who_asked_for_what_cannot_be_done_is_there_too(house: House) -> None:
    refused, unreadable = uuid4(), uuid4()
    open_request(house, str(refused), {"shortcode": "699999", "requested_by": "till"})
    open_request(house, str(unreadable), {"shortcode": 5})
    assert [(*told(entry), entry.detail) for entry in trail(house)] == [
        (audit.UNNAMED_CALLER, "asked", "", f"request {unreadable}, refused"),
        ("till", "asked", "699999", f"request {refused}, refused"),
    ]


def test_what_is_read_can_be_narrowed_down(house: House) -> None:
    request_id = uuid4()
    add(house, detail="first")
    add(house, actor="cli:bob@till-2", subject="600001", detail=f"request {request_id}, query {uuid4()}")
    open_request(house, str(request_id), {"shortcode": SHORTCODE, "requested_by": "payroll"})
    query_id = row(house, "SELECT query_id FROM balance_requests")["query_id"]

    def actors(**filters: object) -> list[str]:
        return [entry.actor for entry in trail(house, **filters)]

    assert actors() == ["payroll", "cli:bob@till-2", ALICE]
    assert actors(limit=2) == ["payroll", "cli:bob@till-2"]
    assert actors(actor="cli:") == ["cli:bob@till-2", ALICE]
    assert actors(actor="%") == []
    assert actors(action=Action.ASKED) == ["payroll"]
    assert actors(action=Action.SHORTCODE_RESUMED) == ["cli:bob@till-2", ALICE]
    assert actors(subject=SHORTCODE) == ["payroll", ALICE]
    assert actors(subject=str(request_id).upper()) == ["payroll", "cli:bob@till-2"]
    assert actors(subject=str(query_id)) == ["payroll"]
    assert actors(subject=SHORTCODE, actor="alice", action=Action.SHORTCODE_RESUMED) == [ALICE]
    assert actors(since=datetime.now(UTC) + timedelta(hours=1)) == []
    newest = trail(house)[0].happened_at
    assert actors(since=newest) == ["payroll"]


def test_the_newest_are_found_without_looking_at_all_there_are(house: House) -> None:
    """Of each half only what its index gives first."""
    rows(
        house,
        "INSERT INTO balance_requests (id, shortcode, requested_by, refusal, requested_at) "
        "SELECT gen_random_uuid(), (600000 + mod(n, 100))::text, 'payroll', 'no', "
        "       now() - n * interval '1 s' "
        "FROM generate_series(1, 20000) n RETURNING 1",
    )
    rows(
        house,
        "INSERT INTO audit (actor, action, subject) "
        "SELECT 'till', 'answer_fetched', (600000 + mod(n, 100))::text "
        "FROM generate_series(1, 20000) n RETURNING 1",
    )
    with psycopg.connect(house.settings.database.database_url, autocommit=True) as connection:
        connection.execute("ANALYZE balance_requests, audit")
    since = datetime.now(UTC) - timedelta(minutes=5)
    for filters in ({}, {"subject": "600007"}, {"since": since}, {"action": Action.ASKED}):
        assert plan(house, **filters) == [], filters


def plan(house: House, **filters: object) -> list[str]:
    """The steps that look through a whole table."""
    given = dict.fromkeys(("since", "actor", "action", "subject", "id")) | {
        "limit": 50,
        "asked": Action.ASKED,
        "unnamed": audit.UNNAMED_CALLER,
    }
    with house.database.transaction() as connection:
        found = connection.execute("EXPLAIN " + audit._ENTRIES, given | filters).fetchall()
    return [line["QUERY PLAN"] for line in found if "Seq Scan" in line["QUERY PLAN"]]

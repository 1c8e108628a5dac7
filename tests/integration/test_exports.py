"""Exports at the command line: what M-PESA told, in a file for its owner alone."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import Result
from pyarrow import parquet

from mpesa_balance import shortcodes
from tests.conftest import SHORTCODE, entry_of, open_query
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.commanding import command
from worker.house import House

TWO = "Working Account|KES|1000.50|900.50|100.00|0.00&=Utility|KES|7.00|7.00|0.00|0.00"

pytestmark = pytest.mark.usefixtures("as_alice")


@pytest.fixture
def told(house: House) -> None:
    """Two days of one shortcode, one balance of another, and a query that failed."""
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of("600001"))
    for day in (b"20261120", b"20261121"):
        record(house, begin(house, open_query(house.database)), success(TWO).replace(b"20261122", day))
    other = open_query(house.database)
    rows(house, "UPDATE balance_queries SET shortcode = '600001' WHERE id = %s RETURNING id", other)
    record(house, begin(house, other), success())
    record(house, begin(house, open_query(house.database)), failure())


def export(what: str, path: Path, *more: str) -> Result:
    return command("export", what, "--out", str(path), *more)


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


@pytest.mark.usefixtures("told")
def test_each_account_of_each_balance_is_a_row_the_newest_of_a_shortcode_first(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "balances.csv"
    done = export("balances", path, "--json")
    assert json.loads(done.stdout) == {"what": "balances", "file": str(path), "rows": 5}
    found = lines(path)
    assert [(one["shortcode"], one["as_of"][:10], one["account"]) for one in found] == [
        (SHORTCODE, "2026-11-21", "Working Account"),
        (SHORTCODE, "2026-11-21", "'=Utility"),
        (SHORTCODE, "2026-11-20", "Working Account"),
        (SHORTCODE, "2026-11-20", "'=Utility"),
        ("600001", "2026-11-22", "Working Account"),
    ]
    assert (found[0]["current"], found[0]["available"], found[0]["late"]) == ("1000.50", "900.50", "False")
    assert path.stat().st_mode & 0o777 == 0o600
    told = row(
        house,
        "SELECT actor LIKE 'cli:alice%%' AS by_alice, subject, detail FROM audit WHERE action = 'exported'",
    )
    assert told == {
        "by_alice": True,
        "subject": "all shortcodes",
        "detail": "balances into balances.csv",
    }


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (("--shortcode", "600001"), 1),
        (("--since", "2026-11-21"), 3),
        (("--to", "2026-11-21"), 2),
        (("--since", "2026-11-21", "--to", "2026-11-22", "--shortcode", SHORTCODE), 2),
        (("--shortcode", "699999"), 0),
    ],
)
@pytest.mark.usefixtures("told")
def test_a_part_is_chosen_by_shortcode_and_by_time(
    tmp_path: Path, selection: tuple[str, ...], count: int
) -> None:
    path = tmp_path / "some.parquet"
    assert export("balances", path, *selection).exit_code == 0
    assert len(parquet.read_table(path)) == count


@pytest.mark.usefixtures("told")
def test_queries_are_told_with_how_they_ended(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    assert "4 rows" in export("queries", path).stdout
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["state"] for one in found] == ["failed", "completed", "completed", "completed"]
    assert (found[0]["result_code"], found[0]["attempts"], found[0]["late"]) == ("2001", 1, False)


@pytest.mark.usefixtures("told")
def test_what_was_there_before_stays_where_the_new_file_is_not_whole(house: House, tmp_path: Path) -> None:
    path = tmp_path / "balances.csv"
    path.write_text("before")
    rows(house, "UPDATE balances SET document = 'x' WHERE shortcode = '600001' RETURNING shortcode")
    assert export("balances", path).exit_code == 1
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["balances.csv"]


def test_a_name_that_says_no_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    done = export("balances", tmp_path / "balances.doc")
    assert done.exit_code == 2
    assert ".csv, .xlsx, .parquet, .json, .jsonl" in done.output


@pytest.mark.usefixtures("told")
def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = export("balances", tmp_path / "nowhere" / "balances.csv")
    assert done.exit_code == 5
    assert "cannot be written" in done.output

"""Exports as the console sends them: whole, or broken off; to whom may have them; and one a person."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from mpesa_balance.errors import Unavailable
from mpesa_balance.exports import EXPORTS, Export, Selection
from mpesa_balance.people import administration
from mpesa_balance.people.roles import Role
from mpesa_balance.tabular import Column, Row
from ops.console.files_sent import Exports, Wanted
from tests.integration.answers import rows
from tests.integration.console_desk import Console
from tests.waiting import eventually
from worker.house import House


def endless(begun: threading.Event, *_: Any) -> Iterator[Row]:
    while True:
        begun.set()
        yield ("x" * 1000,)


def many(*_: Any) -> Iterator[Row]:
    yield from (("x" * 1000,) for _ in range(5_000))


def wanted(export: Export, name: str = "alice") -> Wanted:
    return Wanted(export=export, selection=Selection(), ending=".csv", name=name, may_go_on=lambda: True)


def nothing() -> None:
    """What is done first, where nothing is."""


def test_who_comes_back_to_an_export_that_was_given_up_is_not_left_waiting(house: House) -> None:
    """He reads what had been written for him, and then that it is not the whole."""
    exports = Exports(house.database, patience=0.2)
    sent = exports.sent(wanted(Export((Column("text"),), many)), nothing)
    eventually(lambda: not [one for one in threading.enumerate() if one.name == "export"])
    with pytest.raises(ConnectionAbortedError):
        list(sent)


def test_there_is_room_for_another_export_when_the_first_is_read_or_left(house: House) -> None:
    exports = Exports(house.database)
    export = Export((Column("text"),), partial(endless, threading.Event()))
    sent = exports.sent(wanted(export), nothing)
    with pytest.raises(Unavailable, match="another export of yours"):
        exports.sent(wanted(export), nothing)
    sent.close()  # type: ignore[attr-defined]
    again = exports.sent(wanted(EXPORTS["queries"]), nothing)
    assert b"query_id" in b"".join(again)


def test_what_cannot_be_put_on_record_is_not_sent_and_leaves_room(house: House) -> None:
    exports = Exports(house.database)

    def fail() -> None:
        raise Unavailable("not now")

    for _ in range(2):
        with pytest.raises(Unavailable, match="not now"):
            exports.sent(wanted(EXPORTS["queries"]), fail)


@pytest.mark.parametrize("how", ["disabled", "granted less"])
def test_an_export_is_broken_off_when_he_who_reads_it_may_not_have_it_any_more(
    console: Console, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    begun = threading.Event()
    export = Export((Column("text"),), partial(endless, begun))
    monkeypatch.setitem(EXPORTS, "endless", export)
    browser = console.browser("alice", Role.VIEWER)
    answer = browser.get("/exports/file?what=endless&ending=.csv", stream=True)
    assert begun.wait(30)
    with console.house.database.transaction() as connection:
        if how == "disabled":
            administration.disable(connection, "test", "alice")
        else:
            administration.change(connection, "test", "alice", Role.VIEWER, ())
    # It has no end of its own.
    with pytest.raises(OSError, match=r"Connection broken|ended prematurely"):
        for _ in answer.iter_content(65_536):
            pass


def test_only_what_is_sent_is_on_record(console: Console) -> None:
    browser = console.browser("alice", Role.VIEWER)
    answer = browser.session.head(f"{console.url}/exports/file?what=queries", timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    exported = "SELECT FROM audit WHERE action = 'exported'"
    assert rows(console.house, exported) == []
    assert browser.get("/exports/file?what=queries").status_code == 200
    assert len(rows(console.house, exported)) == 1

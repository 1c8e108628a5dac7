"""The console under its own server: what is broken off, who gets a thread, how it stops, what it logs."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from mpesa_balance.environment import EXIT_CONFIG
from mpesa_balance.people import administration
from mpesa_balance.people.roles import Role
from mpesa_balance.sealing import new_key
from ops.console.changes import MOST, MOST_OF_ONE
from ops.console.files_sent import AT_ONCE
from ops.stack.ports import free_port
from ops.stack.programs import CHECKOUT, console_command
from tests.conftest import SHORTCODE, open_query
from tests.integration.answers import begin, record, rows, success
from tests.integration.console_desk import HASHED, PASSWORD, Browser
from tests.waiting import eventually, is_answered
from worker.house import House

pytestmark = pytest.mark.slow


@contextmanager
def serving(
    environment: dict[str, str], folder: Path
) -> Iterator[tuple[str, "subprocess.Popen[bytes]", Path]]:
    """The console's address, its process and its log."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "console.log"
    own = {"CONSOLE_URL": url, "CONSOLE_KEYS": new_key(), "LOG_LEVEL": "DEBUG"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            console_command(port),
            env={**os.environ, **environment, **own},
            cwd=CHECKOUT,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        assert eventually(lambda: is_answered(f"{url}/health/ready"), seconds=90), log.read_text()
        yield url, process, log
    finally:
        process.kill()
        process.wait()


def signed_in(url: str, house: House, name: str = "alice") -> Browser:
    with house.database.transaction() as connection:
        administration.add(connection, "test", name, Role.ADMINISTRATOR, None)
        connection.execute("UPDATE users SET password_hash = %s", (HASHED,))
    browser = Browser(url)
    assert browser.sign_in(name).url == f"{url}/"
    return browser


EXPORT = "/exports/file?what=queries&ending=.csv"

MANY_QUERIES = """
    INSERT INTO balance_queries (id, shortcode, remarks, forced, deadline_at)
    SELECT gen_random_uuid(), %s, repeat('x', 90), true, now() FROM generate_series(1, 60000)
    RETURNING NULL::text AS nothing
"""


def test_a_part_of_an_export_is_never_taken_for_the_whole(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    for _ in range(2):
        record(house, begin(house, open_query(house.database)), success())
    with serving(environment, tmp_path) as (url, _, _log):
        browser = signed_in(url, house)
        assert browser.get("/exports/file?what=balances&ending=.json").status_code == 200
        rows(
            house,
            "UPDATE balances SET document = %s WHERE query_id = (%s) RETURNING query_id",
            b"\1\2",
            oldest(house),
        )
        for ending in (".csv", ".json", ".jsonl", ".xlsx", ".parquet"):
            with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
                browser.get(f"/exports/file?what=balances&ending={ending}")


def oldest(house: House) -> str:
    return str(rows(house, "SELECT query_id FROM balances ORDER BY as_of, query_id LIMIT 1")[0]["query_id"])


def test_pages_are_answered_however_many_follow_and_a_stop_waits_for_none(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with serving(environment, tmp_path) as (url, process, _):
        people = [signed_in(url, house, f"reader-{number}") for number in range(MOST // MOST_OF_ONE + 1)]
        streams = [one.get("/events?mark=0", stream=True) for one in people for _ in range(MOST_OF_ONE + 4)]
        browser = people[-1]
        assert browser.get("/queries").status_code == 200
        # Who is one too many is told what there is, and comes again.
        late = browser.get("/events?mark=0", stream=True)
        assert b"".join(late.iter_content()).startswith(b"retry: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
        for stream in streams:
            stream.close()


def test_who_reads_an_export_slowly_keeps_nobody_from_a_page(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    # Far more than waits in a pipe and in a socket.
    rows(house, MANY_QUERIES, SHORTCODE)
    with serving(environment, tmp_path) as (url, _, _log):
        readers = [signed_in(url, house, f"reader-{number}") for number in range(AT_ONCE)]
        stalled = [one.get(EXPORT, stream=True) for one in readers]
        assert readers[0].get(EXPORT).status_code == 503
        late = signed_in(url, house, "late")
        assert late.get(EXPORT).status_code == 503
        for path in ("/", "/queries", "/health/ready"):
            assert late.get(path).status_code == 200
        for one in stalled:
            one.close()
        # Whoever wrote for them hears of it at once.
        assert eventually(lambda: late.get(EXPORT).status_code == 200)


def test_a_client_that_sends_nothing_more_holds_no_thread(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    begun = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\na"
    with serving(environment, tmp_path) as (url, _, _log):
        port = int(url.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        for one in slow:
            one.sendall(begun)
        assert requests.get(f"{url}/health/live", timeout=60).status_code == 200
        for one in slow:
            one.close()


def test_where_a_part_would_look_like_the_whole_there_is_no_export(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with serving(environment, tmp_path) as (url, _, _log):
        browser = signed_in(url, house)
        cookies = "; ".join(f"{one.name}={one.value}" for one in browser.session.cookies)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as old:
            old.sendall(f"GET {EXPORT} HTTP/1.0\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n".encode())
            answer = old.makefile("rb").read()
        assert b" 505 " in answer.split(b"\r\n")[0]
        assert b"proxy_http_version 1.1" in answer


def test_the_log_holds_no_secret_of_those_who_come(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with serving(environment, tmp_path) as (url, process, log):
        browser = signed_in(url, house)
        token = re.search(
            r'<code id="token">([^<]+)',
            browser.post("/account/tokens", data={"label": "payroll", "days": "1"}).text,
        )
        assert token
        link = re.search(r"/welcome/([\w-]+)", browser.post("/people/alice/link").text)
        assert link
        assert browser.get(f"/welcome/{link[1]}").status_code == 200
        Browser(url).sign_in("alice", "a wrong password")
        requests.get(f"{url}/api/v1/balances", headers={"Authorization": f"Bearer {token[1]}"}, timeout=10)
        cookies = [cookie.value or "" for cookie in browser.session.cookies]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        said = log.read_text()
        keys = (environment["SEALING_KEYS"], environment["CALLBACK_KEYS"])
        for secret in (PASSWORD, "a wrong password", token[1], link[1], *cookies, *keys):
            assert secret not in said


def test_wrong_settings_are_named_before_anything_is_served(environment: dict[str, str]) -> None:
    wrong = {
        "CONSOLE_URL": "http://console.example.co.ke",
        "CONSOLE_KEYS": "short",
        "OIDC_ISSUER": "http://idp",
    }
    done = subprocess.run(
        (sys.executable, "-c", "from ops.console.app import create_app; create_app()"),
        env={**os.environ, **environment, **wrong},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == EXIT_CONFIG
    for name in (*wrong, "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
        assert f"{name} " in done.stderr

"""People at the command line: accounts, one-time links and API tokens, what is printed, and the trail."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result

from mpesa_balance.people import api_tokens, links, sessions
from tests.conftest import SHORTCODE
from tests.integration.answers import row, rows
from tests.integration.commanding import command
from tests.integration.peopled import QUICK, let_pass, within
from tests.integration.trail import trail
from worker.house import House

pytestmark = pytest.mark.console

URL = "https://balances.example.co.ke"


@pytest.fixture(autouse=True)
def _url(as_alice: pytest.MonkeyPatch) -> None:
    as_alice.setenv("CONSOLE_URL", f"{URL}/")


def users(*arguments: str, exit_code: int = 0) -> Result:
    result = command("users", *arguments)
    assert result.exit_code == exit_code, result.output
    return result


def told(*arguments: str) -> Any:
    return json.loads(users(*arguments, "--json").stdout)


def add(name: str = "root", role: str = "administrator", *scope: str) -> str:
    """Make an account; gives its link."""
    return str(told("add", name, "--role", role, *(scope or ("--every-shortcode",)))["link"])


def token(name: str = "root", label: str = "nightly export") -> str:
    return str(told("token", name, "--label", label)["token"])


def done(house: House) -> list[tuple[str, str, str]]:
    """What is on record of people, oldest first; all of it by alice."""
    found = trail(house)[::-1]
    assert all(entry.actor.startswith("cli:alice (") for entry in found)
    return [(entry.action, entry.subject, entry.detail) for entry in found]


def test_who_is_added_gets_a_link_to_the_console(house: House) -> None:
    said = users("add", "root", "--role", "administrator", "--every-shortcode").stdout
    found = re.fullmatch(rf"For root, once, within 48 hours: {URL}/welcome/(\S{{43}})\n", said)
    assert found, said
    assert within(house, links.use, found[1], QUICK) == "root"
    assert done(house) == [
        ("user_added", "root", "administrator of every shortcode"),
        ("sign_in_link_made", "root", ""),
    ]


def test_a_new_link_is_printed_and_the_one_before_is_void(house: House) -> None:
    before = add()
    document = told("link", "root")
    assert set(document) == {"name", "link"}
    assert document["link"].startswith(f"{URL}/welcome/")
    assert document["link"] != before
    assert within(house, links.whose, document["link"].removeprefix(f"{URL}/welcome/")) == "root"
    assert done(house)[-1] == ("sign_in_link_made", "root", "")


def test_a_link_that_cannot_be_written_out_makes_no_account(
    house: House, as_alice: pytest.MonkeyPatch
) -> None:
    as_alice.setenv("CONSOLE_URL", "http://balances.example.co.ke")
    result = command("users", "add", "root", "--role", "administrator", "--every-shortcode")
    assert result.exit_code == 78
    assert "CONSOLE_URL must be https://" in result.output
    assert rows(house, "SELECT FROM users UNION ALL SELECT FROM audit") == []


def test_what_may_be_seen_is_said_in_one_way(house: House) -> None:
    for scope in ((), ("--every-shortcode", "--shortcode", SHORTCODE)):
        refused = users("add", "till", "--role", "viewer", *scope, exit_code=5)
        assert "say what may be seen: --every-shortcode, or --shortcode" in refused.output
    assert rows(house, "SELECT FROM users") == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (("add", "root", "--role", "viewer", "--every-shortcode"), 5, "there is a user root already"),
        (("add", "Till", "--role", "viewer", "--every-shortcode"), 5, "made of 1 to 100 of a-z"),
        (("add", "till", "--role", "viewer", "--shortcode", "699999"), 4, "699999 is not registered"),
        (("add", "till", "--role", "administrator", "--shortcode", SHORTCODE), 5, "every shortcode"),
        (("add", "till", "--role", "boss", "--every-shortcode"), 2, "viewer"),
        (("add", "till", "--every-shortcode"), 2, "--role"),
        (("change", "root", "--role", "viewer", "--every-shortcode"), 5, "another administrator first"),
        (("change", "till", "--role", "viewer", "--every-shortcode"), 4, "there is no user 'till'"),
        (("disable", "root"), 5, "another administrator first"),
        (("disable", "till"), 4, "there is no user 'till'"),
        (("enable", "till"), 4, "there is no user 'till'"),
        (("link", "till"), 4, "there is no user 'till'"),
        (("token", "till", "--label", "x"), 4, "there is no user 'till'"),
        (("token", "root", "--label", " ", "--days", "0"), 5, "1 to 400 days"),
        (("token", "root"), 2, "--label"),
        (("revoke", str(uuid4())), 4, "there is no API token"),
        (("revoke", "first"), 2, "not a valid UUID"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason_and_changes_nothing(
    house: House, arguments: tuple[str, ...], exit_code: int, reason: str
) -> None:
    add()
    before = done(house), told("list")
    assert reason in users(*arguments, exit_code=exit_code).output
    assert (done(house), told("list")) == before
    assert rows(house, "SELECT FROM api_tokens") == []


def test_a_change_is_told_in_words_and_as_a_document(house: House) -> None:
    add()
    add("till", "viewer", "--shortcode", SHORTCODE)
    change = ("change", "till", "--role", "operator")
    assert users(*change, "--every-shortcode").stdout == "till is operator of every shortcode.\n"
    document = told(*change, "--shortcode", SHORTCODE, "--shortcode", SHORTCODE)
    assert (document["role"], document["shortcodes"]) == ("operator", [SHORTCODE])
    assert done(house)[4:] == [
        ("user_changed", "till", "operator of every shortcode"),
        ("user_changed", "till", f"operator of {SHORTCODE} {SHORTCODE}"),
    ]


def test_accounts_are_listed_with_what_each_is_and_sees(house: House) -> None:
    assert users("list").stdout == "Nothing yet.\n"
    add()
    add("till", "viewer", "--shortcode", SHORTCODE)
    within(house, sessions.begin, "root")
    users("disable", "till")
    root, till = told("list")
    assert (root["name"], root["role"], root["shortcodes"]) == ("root", "administrator", None)
    assert root["seen_at"]
    assert (till["shortcodes"], till["has_password"], till["seen_at"]) == ([SHORTCODE], False, None)
    assert till["disabled_at"]
    lines = users("list").stdout.splitlines()
    assert any(re.search(r"root .* administrator .* all .* EAT", line) for line in lines)
    assert any(re.search(rf"till .* viewer .* {SHORTCODE} .* disabled", line) for line in lines)


def test_who_is_disabled_is_out_until_he_is_enabled(house: House) -> None:
    add()
    add("till", "viewer", "--every-shortcode")
    session, made = within(house, sessions.begin, "till"), token("till")
    assert users("disable", "till").stdout == "till is disabled.\n"
    assert within(house, sessions.person_of, session) is None
    assert within(house, api_tokens.bearer_of, made) is None
    assert "till is disabled: enable him" in users("link", "till", exit_code=5).output
    assert told("disable", "till") == {"name": "till", "disabled": True}
    assert users("enable", "till").stdout == "till is enabled.\n"
    assert told("enable", "till") == {"name": "till", "disabled": False}
    assert within(house, api_tokens.bearer_of, made) is not None
    assert [action for action, subject, _ in done(house) if subject == "till"][-4:] == [
        *("user_disabled", "user_disabled", "user_enabled", "user_enabled")
    ]


def test_a_token_is_printed_this_once_and_works(house: House) -> None:
    add()
    made = users("token", "root", "--label", "nightly export", "--days", "7").stdout.strip()
    bearer = within(house, api_tokens.bearer_of, made)
    assert bearer is not None
    assert (bearer.person.name, bearer.label) == ("root", "nightly export")
    assert done(house)[-1] == ("api_token_made", "root", "nightly export, 7 days")
    lasts = row(house, "SELECT extract(day FROM ends_at - created_at)::int AS days FROM api_tokens")
    assert lasts == {"days": 7}
    for shown in (users("tokens").stdout, users("tokens", "--json").stdout):
        assert "nightly export" in shown
        assert made not in shown


def test_tokens_are_listed_of_one_user_or_of_all(house: House) -> None:
    add()
    add("till", "viewer", "--every-shortcode")
    assert told("token", "till", "--label", "of the till").keys() == {"user", "label", "token"}
    token()
    assert [one["user"] for one in told("tokens")] == ["root", "till"]
    (only,) = told("tokens", "till")
    assert (only["label"], only["used_at"], only["revoked_at"]) == ("of the till", None, None)
    assert command("users", "tokens", "nobody").exit_code == 4


def test_whom_single_sign_on_means_can_be_forgotten(house: House) -> None:
    add()
    rows(house, "UPDATE users SET oidc_subject = 'https://old 1' RETURNING name")
    assert users("forget-sign-on", "root").exit_code == 0
    assert rows(house, "SELECT oidc_subject FROM users") == [{"oidc_subject": None}]
    assert command("users", "forget-sign-on", "nobody").exit_code == 4


def test_a_token_that_is_revoked_lets_nobody_in_and_is_shown_so(house: House) -> None:
    add()
    made = token()
    (listed,) = told("tokens")
    assert users("revoke", listed["id"]).stdout == "nightly export of root is revoked.\n"
    assert within(house, api_tokens.bearer_of, made) is None
    assert done(house)[-1] == ("api_token_revoked", "root", "nightly export")
    let_pass(house, "api_tokens.revoked_at", "1 hour")
    before = told("tokens")[0]["revoked_at"]
    assert before
    assert told("revoke", listed["id"])["revoked_at"] == before


def test_the_trail_holds_nothing_that_lets_somebody_in(house: House) -> None:
    secrets = [add().rpartition("/")[2], told("link", "root")["link"].rpartition("/")[2], token()]
    stored = str(rows(house, "SELECT a::text FROM audit a"))
    assert "nightly export" in stored
    assert [secret for secret in secrets if secret in stored] == []

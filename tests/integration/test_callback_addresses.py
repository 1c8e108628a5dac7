"""Whose callbacks are taken: the token authenticates, and the address is a policy on top of it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests import samples
from tests.integration.webhook_desk import Webhooks, running

pytestmark = pytest.mark.slow

DIRECT = samples.document("transport/callback-headers-direct.json")
SPOOFED = samples.document("transport/callback-headers-spoofed.json")


@pytest.fixture
def webhooks(
    request: pytest.FixtureRequest, broker_url: str, keys: dict[str, str], tmp_path: Path
) -> Iterator[Webhooks]:
    policy, hops = request.param
    settings = {"CALLBACK_ADDRESS_POLICY": policy, "TRUSTED_PROXY_HOPS": hops}
    with running(keys, broker_url, tmp_path / "spool", **settings) as webhooks:
        yield webhooks


def post(webhooks: Webhooks, forwarded: str | None) -> requests.Response:
    """A callback as it comes through a proxy that appends whom it speaks for."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return requests.post(webhooks.address(uuid4()), data=b"{}", headers=headers, timeout=5)


@pytest.mark.parametrize("webhooks", [("enforce", "1")], indirect=True)
def test_under_enforce_only_known_addresses_come_in_and_spoofed_ones_do_not(webhooks: Webhooks) -> None:
    assert post(webhooks, DIRECT["remote_addr"]).status_code == 200
    spoofed = f"{SPOOFED['headers']['X-Forwarded-For']}, {SPOOFED['remote_addr']}"
    for forwarded in (spoofed, SPOOFED["remote_addr"], "2001:db8::1", None):
        refused = post(webhooks, forwarded)
        assert (refused.status_code, refused.json()["ResultCode"]) == (403, 1)
    assert [one.flagged for one in webhooks.deliveries()] == [False]


@pytest.mark.parametrize("webhooks", [("enforce", "0")], indirect=True)
def test_without_a_trusted_proxy_the_header_is_a_strangers_claim(webhooks: Webhooks) -> None:
    assert post(webhooks, SPOOFED["headers"]["X-Forwarded-For"]).status_code == 403
    assert webhooks.spooled() == []


@pytest.mark.parametrize("webhooks", [("enforce", "1")], indirect=True)
def test_a_forged_token_is_told_nothing_about_addresses(webhooks: Webhooks) -> None:
    forged = f"{webhooks.url}/callbacks/balance/{'0' * 64}/result"
    assert requests.post(forged, data=b"{}", timeout=5).status_code == 404


@pytest.mark.parametrize("webhooks", [("flag", "1")], indirect=True)
def test_under_flag_every_callback_comes_in_and_the_unknown_are_marked(webhooks: Webhooks) -> None:
    for forwarded in (DIRECT["remote_addr"], SPOOFED["remote_addr"]):
        assert post(webhooks, forwarded).status_code == 200
    assert [one.flagged for one in webhooks.deliveries()] == [False, True]


@pytest.mark.parametrize("webhooks", [("off", "1")], indirect=True)
def test_under_off_nobody_looks(webhooks: Webhooks) -> None:
    assert post(webhooks, SPOOFED["remote_addr"]).status_code == 200
    assert [one.flagged for one in webhooks.deliveries()] == [False]

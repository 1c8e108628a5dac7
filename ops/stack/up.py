"""Bringing the whole system up in the foreground, and down again."""

import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from mpesa_balance import logs, shortcodes
from mpesa_balance.apps import SANDBOX, App
from mpesa_balance.cli import registration
from mpesa_balance.database import Connection, Database
from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import MpesaBalanceError, RequestRefused
from mpesa_balance.sealing import Sealer, parse_sealer
from mpesa_balance.settings import DatabaseSettings
from mpesa_balance.shortcodes import PASSWORD, Shortcode
from ops.migrate import migrate
from ops.simulator.keys import KeyPair
from ops.stack import first_user, readiness, servers
from ops.stack.ports import claim
from ops.stack.programs import EXPOSING, Ports, programs
from ops.stack.state import REDIS_FOLDER, StateDirectory
from ops.stack.supervisor import supervise

#: What the simulator knows when the stack starts, so that there is something to ask for.
DEMO_SHORTCODE: Final = "600000"
_DEMO_INITIATOR: Final = "testapi"
_SIMULATOR_APP: Final = "simulator"

_FLOWER_USER: Final = "operator"

#: It goes to the webhook tier only, as its BROKER_URL.
_WEBHOOKS_BROKER_URL: Final = "WEBHOOKS_BROKER_URL"

#: The users of the embedded Valkey: the secret that is the password, and the name of the address.
_REDIS_USERS: Final = {
    "house": ("REDIS_PASSWORD", "BROKER_URL"),
    "webhooks": ("REDIS_WEBHOOKS_PASSWORD", _WEBHOOKS_BROKER_URL),
    # For other services, which read it in stack.env.
    "caller": ("REDIS_CALLER_PASSWORD", "CALLER_BROKER_URL"),
}

#: How often the embedded servers are looked at, and how often one may miss an answer.
_WATCH_SECONDS: Final = 3
_MOST_MISSES: Final = 3

_ASK: Final = f".venv/bin/mpesa-balance query {DEMO_SHORTCODE} --wait"
_REGISTER: Final = ".venv/bin/mpesa-balance apps add ..., then shortcodes add ... and query ... --wait"

#: The exit status of a program that SIGTERM ended.
_TERMINATED: Final = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `mpesa-balance up` was told. A port of 0 means: the usual one, or any that is free."""

    state_dir: Path
    daraja_url: str | None = None
    webhook_port: int = 0
    flower_port: int = 0
    console_port: int = 0


def up(options: UpOptions) -> bool:
    """Run the whole system until Ctrl-C. False where it did not become ready."""
    if options.daraja_url is not None and not options.daraja_url.startswith(("http://", "https://")):
        raise RequestRefused([f"--daraja-url must start with https://, not {options.daraja_url!r}"])
    state = StateDirectory(options.state_dir)
    with state.held(), ExitStack() as running:
        # Until the supervisor takes over, being told to stop must still stop the servers.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
        ports = _ports(options, running)
        ours = [name for name in ("DATABASE_URL", "BROKER_URL") if not _is_given(name)]
        settings = _settings(state, options, ports, running)
        own_broker_url = settings.pop(_WEBHOOKS_BROKER_URL, None)
        os.environ.update(settings)
        load(Reader.worker)
        load(Reader.console)
        applied = migrate(settings["DATABASE_URL"])
        print(f"Postgres and Redis are up, {len(applied)} migrations applied.", flush=True)
        simulated = options.daraja_url is None
        if simulated:
            _register_simulator(state, settings)
        listed = programs(state.path, ports, simulated=simulated, webhooks_broker_url=own_broker_url)
        # Programs write to us, and we write to where the lines are read.
        log_format = logs.resolved(load(Reader.log_format), sys.stdout)
        return supervise(
            listed,
            settings | {"LOG_FORMAT": log_format},
            lambda: _announce(state, settings, simulated=simulated) and _watch_servers(settings, ours),
        )


def _settings(
    state: StateDirectory, options: UpOptions, ports: Ports, running: ExitStack
) -> dict[str, str]:
    """The environment of every program; starts Postgres and Redis where none are given."""
    made = state.secrets()
    database_url = load(Reader.database_url) if _is_given("DATABASE_URL") else None
    if database_url is None:
        database_url = running.enter_context(servers.postgres(state.path / "postgres"))
    brokers = _brokers(state, ports, made, running)
    webhooks = f"http://127.0.0.1:{ports.webhooks}"
    own = {
        "SEALING_KEYS": made["SEALING_KEYS"],
        "CALLBACK_KEYS": made["CALLBACK_KEYS"],
        "CALLBACK_BASE_URL": webhooks,
        "CONSOLE_KEYS": made["CONSOLE_KEYS"],
        "CONSOLE_URL": f"http://127.0.0.1:{ports.console}",
        "SPOOL_DIR": str(state.path / "spool"),
        "HEALTH_DIR": str(state.path / "health"),
        # The simulator sends from this machine.
        "CALLBACK_ADDRESS_POLICY": "flag" if options.daraja_url else "off",
        "SIMULATOR_CONSUMER_SECRET": made["SIMULATOR_CONSUMER_SECRET"],
        "SIMULATOR_INITIATOR_PASSWORD": made["SIMULATOR_INITIATOR_PASSWORD"],
    }
    return {
        **{name: load(partial(Reader.given, name=name, default=value)) for name, value in own.items()},
        "DATABASE_URL": database_url,
        **brokers,
        "WEBHOOKS_URL": webhooks,
        "DARAJA_URL": options.daraja_url or f"http://127.0.0.1:{ports.simulator}",
        # CONSOLE_URL may be given, and lead through a proxy.
        "CONSOLE_OWN_URL": f"http://127.0.0.1:{ports.console}",
        "FLOWER_URL": f"http://127.0.0.1:{ports.flower}",
        "FLOWER_BASIC_AUTH": f"{_FLOWER_USER}:{made['FLOWER_PASSWORD']}",
        **{f"{name.upper()}_METRICS_URL": _metrics_url(port) for name, port in ports.metrics.items()},
    }


def _brokers(
    state: StateDirectory, ports: Ports, made: dict[str, str], running: ExitStack
) -> dict[str, str]:
    """The address that was given, for everybody; or that of each user of a Valkey of our own."""
    if _is_given("BROKER_URL"):
        return {"BROKER_URL": load(Reader.broker).broker_url}
    passwords = {user: made[secret] for user, (secret, _) in _REDIS_USERS.items()}
    urls = running.enter_context(servers.redis(state.path / REDIS_FOLDER, ports.redis, passwords))
    return {variable: urls[user] for user, (_, variable) in _REDIS_USERS.items()}


def _metrics_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


def _is_given(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def _register_simulator(state: StateDirectory, settings: dict[str, str]) -> None:
    sealer = parse_sealer(settings["SEALING_KEYS"])
    app = App(
        name=_SIMULATOR_APP,
        environment=SANDBOX,
        base_url=settings["DARAJA_URL"],
        certificate=KeyPair.kept_in(state.path / "simulator.pem").certificate(),
        consumer_key="simulator-key",
        consumer_secret=settings["SIMULATOR_CONSUMER_SECRET"],
    )
    entry = Shortcode(
        shortcode=DEMO_SHORTCODE,
        app=_SIMULATOR_APP,
        identifier_type=4,
        initiator=_DEMO_INITIATOR,
        credential_kind=PASSWORD,
        credential=settings["SIMULATOR_INITIATOR_PASSWORD"],
    )
    database = Database(DatabaseSettings(database_url=settings["DATABASE_URL"], sealer=sealer))
    with database.transaction() as connection:
        _refuse_to_replace_real_ones(connection, sealer)
        registration.add_app(connection, sealer, app, replace=True)
        registration.add_shortcode(connection, sealer, entry, replace=True)
    database.close()


def _refuse_to_replace_real_ones(connection: Connection, sealer: Sealer) -> None:
    """A database that was given may hold the real shortcode of the simulator's number."""
    for entry in shortcodes.every(connection, sealer):
        if entry.shortcode == DEMO_SHORTCODE and entry.app != _SIMULATOR_APP:
            problem = (
                f"shortcode {DEMO_SHORTCODE} in this database belongs to app {entry.app!r}, and the "
                "simulator would take its place: start with --daraja-url, or give another DATABASE_URL"
            )
            raise RequestRefused([problem])


def _announce(state: StateDirectory, settings: dict[str, str], *, simulated: bool) -> bool:
    """Wait until everything answers, then tell where it is. False where it does not."""
    pages = {"webhooks": f"{settings['WEBHOOKS_URL']}/health/ready", "flower": settings["FLOWER_URL"]}
    pages["console"] = f"{settings['CONSOLE_OWN_URL']}/health/ready"
    if simulated:
        pages["simulator"] = f"{settings['DARAJA_URL']}/simulator/certificate"
    try:
        readiness.wait_for(settings["BROKER_URL"], pages)
        entrance = first_user.entrance(settings)
    except MpesaBalanceError as error:
        print(f"The stack did not come up: {error}", file=sys.stderr, flush=True)
        return False
    state.write_env(settings)
    print(
        f"\nReady. Callbacks: {settings['WEBHOOKS_URL']}/callbacks/balance/...\n"
        f"       Daraja:    {settings['DARAJA_URL']}\n"
        f"       Console:   {entrance}\n"
        f"       Flower:    {settings['FLOWER_URL']} (name and password: "
        f"FLOWER_BASIC_AUTH in {state.env_file})\n"
        f"       Metrics:   {' '.join(settings[f'{name.upper()}_METRICS_URL'] for name in EXPOSING)}\n"
        f"       Settings:  {state.env_file}\n"
        f"In another terminal: {_ASK if simulated else _REGISTER}\n"
        "Ctrl-C stops everything.\n",
        flush=True,
    )
    return True


def _watch_servers(settings: dict[str, str], ours: list[str]) -> bool:
    """Return, with False, when a server of ours has gone for good; one that was given may come back."""
    misses = dict.fromkeys(ours, 0)
    while all(count < _MOST_MISSES for count in misses.values()):
        time.sleep(_WATCH_SECONDS)
        misses = {
            name: 0 if servers.answers(name, settings[name]) else count + 1
            for name, count in misses.items()
        }
    gone = " and ".join(name for name, count in misses.items() if count)
    print(f"What {gone} names has gone: stopping. Start again; the data is kept.", file=sys.stderr)
    return False


def _ports(options: UpOptions, held: ExitStack) -> Ports:
    return Ports(
        webhooks=claim(8080, held, wanted=options.webhook_port),
        flower=claim(5555, held, wanted=options.flower_port),
        console=claim(8090, held, wanted=options.console_port),
        redis=claim(6380, held),
        simulator=claim(8081, held),
        metrics={name: claim(usual, held) for name, usual in EXPOSING.items()},
    )

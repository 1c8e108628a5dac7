"""Everything that a house does by itself, in every way it ends: asked, submitted, answered, swept, told."""

from collections import deque
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from mpesa_balance import (
    alerts,
    apps,
    attempts,
    history,
    inbox,
    line,
    received,
    schedules,
    standing,
    traces,
)
from mpesa_balance.callback_urls import RESULT, TIMEOUT
from mpesa_balance.contract import ANSWERS, DELIVER_ALERTS, REFRESH_TOKENS, RUN_SCHEDULES, SWEEP
from mpesa_balance.timetables import Timetable
from tests.conftest import Bell
from tests.fakes import FakeDaraja, Reply, Script, json_reply
from tests.integration.alerting import WORKING, add_channel, add_rule
from tests.integration.answers import OTHER_BALANCE, failure, record, success
from tests.receivers import WebReceiver
from worker import callbacks, clock, intake, lookups, scheduling, submission, sweeper, telling
from worker.house import House


@dataclass
class HotPath:
    """A house with these shortcodes, and what rings, answers and listens in it."""

    house: House
    bell: Bell
    daraja: FakeDaraja
    web: WebReceiver
    shortcodes: list[str]

    def walk(self) -> None:
        """Once through everything."""
        self._completed()
        self._not_completed()
        self._not_submitted()
        self._refused()
        self._swept()
        self._scheduled()
        self._alerted()
        self._looked_at()

    def ask(self, shortcode: str | None = None, **given: object) -> UUID:
        """Ask for a shortcode, by default for one that has not been asked for; gives the request."""
        request_id = uuid4()
        reply_to = {"task": "theirs", "queue": "theirs"}
        message = {"shortcode": shortcode or self.shortcodes.pop(), "reply_to": reply_to, **given}
        intake.open_request(self.house, str(request_id), message)
        return request_id

    def submit(self, *replies: Reply, shortcode: str | None = None, **given: object) -> UUID:
        """Ask and put it to Daraja, which answers so; gives the attempt."""
        asked = shortcode or self.shortcodes.pop()
        self.daraja.scripts[asked] = Script(deque(replies))
        self.ask(asked, **given)
        # Whoever comes before it in the line is served first, or beside it.
        sent = len(self.daraja.queries)
        while not (mine := [body for body in self.daraja.queries[sent:] if body["PartyA"] == asked]):
            submission.submit(self.house, self.bell.rung[-1])
        token = mine[-1]["ResultURL"].split("/")[-2]
        return self.house.settings.callbacks.signer.attempt_id(token)

    def answer(self, payload: bytes, kind: str = RESULT, **given: object) -> UUID:
        """Ask, submit, and have this come back; gives the attempt."""
        attempt_id = self.submit(**given)
        record(self.house, attempt_id, payload, kind)
        return attempt_id

    def _completed(self) -> None:
        asked = self.shortcodes[-1]
        attempt_id = self.answer(success(), include_accounts=True)
        for payload in (success(), success(OTHER_BALANCE), success(ResultType=1)):
            record(self.house, attempt_id, payload)
        self.ask(asked, max_age=3600)
        self.ask(asked)
        joined = self.ask(self.shortcodes[-1])
        self.ask(self.shortcodes.pop())
        lookups.answer(self.house, str(joined), f"{ANSWERS}{joined.hex}", "somebody")

    def _not_completed(self) -> None:
        for payload in (failure("1"), failure("17"), failure("2001"), b"not JSON"):
            self.answer(payload)
        self.answer(b"{}", TIMEOUT)
        record(self.house, uuid4(), success())

    def _not_submitted(self) -> None:
        invalid = json_reply({"errorCode": "404.001.03", "errorMessage": "Invalid"}, 404)
        for reply in (invalid, json_reply({"errorCode": "500.003.03"}, 500), json_reply({}, 400)):
            self.submit(reply, reply)
            self._let_go_on()
        self.submit(Reply(200, b'{"cut short'))
        self.house.tokens.store.flushall()
        self.daraja.token_replies.append(json_reply({}, 400))
        self.ask()
        submission.submit(self.house, self.bell.rung[-1])
        with self.house.database.transaction() as connection:
            attempts.withdraw(connection, uuid4(), 1)
            attempts.try_again_after(connection, uuid4(), 1, 1)
            attempts.is_last_hope(connection, uuid4(), 1)

    def _let_go_on(self) -> None:
        with self.house.database.transaction() as connection:
            connection.execute("UPDATE daraja_apps SET next_slot_at = '-infinity'")

    def _refused(self) -> None:
        self.ask("99999")
        self.bell.refused.add("theirs")
        self.answer(success())
        self.bell.refused.clear()

    def _swept(self) -> None:
        late = replace(
            self, house=replace(self.house, settings=replace(self.house.settings, query_deadline=0))
        )
        late.ask()
        attempt_id = self.submit()
        record(self.house, attempt_id, success())
        with self.house.database.transaction() as connection:
            line.first_of_each(connection, 5)
            inbox.take_up(connection, 1)
            inbox.put_back(connection, [1])
        callbacks.judge_again(self.house, 1)
        clock.tick(self.house, SWEEP, sweeper.sweep)
        clock.tick(self.house, REFRESH_TOKENS, lambda house: house.tokens.refresh_all())

    def _scheduled(self) -> None:
        with self.house.database.transaction() as connection:
            for _ in range(2):
                schedules.add(
                    connection, self.shortcodes.pop(), Timetable(every_seconds=10, spread_seconds=0)
                )
        scheduling.open_due(self.house)
        with self.house.database.transaction() as connection:
            connection.execute("UPDATE schedules SET next_due_at = now()")
        clock.tick(self.house, RUN_SCHEDULES, scheduling.open_due)

    def _alerted(self) -> None:
        add_channel(self.house, self.web.url)
        add_rule(self.house, "below", threshold="5000.50")
        add_rule(self.house, "drop", account=WORKING, amount="100", minutes="30")
        add_rule(self.house, "stale", minutes="60", shortcode=self.shortcodes[0])
        shortcode = self.shortcodes.pop()
        for balance in (OTHER_BALANCE, "Working Account|KES|1000000.00|1000000.00|0.00|0.00"):
            self.answer(success(balance), shortcode=shortcode, force=True)
            sweeper.sweep(self.house)
            telling.deliver(self.house)
        self.web.status = 500
        self.answer(failure("1"))
        sweeper.sweep(self.house)
        clock.tick(self.house, DELIVER_ALERTS, telling.deliver)
        with self.house.database.transaction() as connection:
            alerts.clear_mended(connection)

    def _looked_at(self) -> None:
        request_id = self.ask()
        with self.house.database.transaction() as connection:
            standing.read(connection, 2)
        with self.house.database.transaction() as connection:
            found = history.of_request(connection, self.house.database.sealer, request_id)
            assert found is not None
            assert found.query_id is not None
            history.timeline(connection, found.query_id)
            history.latest(connection, self.house.database.sealer, [found.shortcode])
            traces.ended(connection, [found.query_id], [request_id])
            received.waiting(connection)
            apps.every(connection, self.house.database.sealer)

"""What became of queries: the inbox, and each shortcode's callbacks, failures and newest balance."""

from mpesa_balance import diagnosis, history, received
from mpesa_balance.balances import Account
from mpesa_balance.cli.output import moment
from mpesa_balance.diagnosis import RegisteredShortcode
from mpesa_balance.inbox import Disposition
from mpesa_balance.result_codes import advice_for
from ops.doctor import commands, troubles
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, warning


def last_callback(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """When the last callback came, from where, and what became of it."""
    with patient.reading() as connection:
        last = diagnosis.last_callback(connection, entry.shortcode)
    if last is None:
        return [ok("no callback has come yet")]
    sender = last.address or "an address that is not known"
    came = f"the last callback, a {last.kind}, came {moment(last.received_at)} from {sender}"
    found = f"{came}: {last.disposition or 'not settled'}"
    if last.disposition in (Disposition.APPLIED, Disposition.NOTED):
        return [ok(found)]
    return [warning(f"{found}, {troubles.quoted(last.reason)}", f"`mpesa-balance status {last.query_id}`")]


def inbox(patient: Patient) -> list[Opinion]:
    """Whether callbacks wait for a person."""
    with patient.reading() as connection:
        waiting = received.waiting(connection)
    if not waiting:
        return [ok("no callback waits for a person")]
    counted = ", ".join(f"{count} {disposition}" for disposition, count in waiting.items())
    remedy = "`mpesa-balance callbacks list`, and `callbacks replay` once what kept them is mended"
    return [warning(f"callbacks wait for a person: {counted}", remedy)]


def last_day(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """How the queries of the last 24 hours ended, and whether any was never called back."""
    with patient.reading() as connection:
        day = diagnosis.last_day(connection, entry.shortcode)
    counted = ", ".join(f"{count} {state}" for state, count in day.states.items())
    opinions = [ok(f"queries of the last 24 hours: {counted or 'none'}")]
    if day.unanswered:
        # Some that are lost while others arrive are Daraja's; where none arrives, the way is closed.
        said = warning if day.called_back else error
        found = f"{day.unanswered} queries of the last 24 hours were acknowledged and never called back"
        cause = troubles.CAUSES[troubles.CALLBACK_NOT_RECEIVED]
        opinions.append(said(f"{troubles.CALLBACK_NOT_RECEIVED}: {found}", cause))
    return opinions


def last_failure(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Why the query that failed last did, unless a later one was completed."""
    with patient.reading() as connection:
        last = diagnosis.last_failure(connection, entry.shortcode)
    if last is None:
        return [ok("no query has failed")]
    said = f"{last.code or 'no code'}: {troubles.quoted(last.description)}"
    found = f"a query failed {moment(last.ended_at)} with {said}"
    if last.is_past:
        return [ok(f"{found}; a later one was completed")]
    trouble = troubles.of_failure(last.code, last.description)
    if trouble is None:
        advice = advice_for(last.code, last.description or "")
        return [
            warning(found, advice or f"All that happened to it: `mpesa-balance status {last.query_id}`.")
        ]
    mend = f"{commands.replace_shortcode(entry)}, then {commands.resume(entry)}"
    return [error(f"{trouble}: {found}", f"{troubles.CAUSES[trouble]}; {mend}")]


def newest_balance(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Whether every amount of the newest balance is zero."""
    with patient.reading() as connection:
        newest = history.latest(connection, patient.sealer, [entry.shortcode])
    if not newest:
        return [ok(f"no balance yet: `mpesa-balance query {entry.shortcode} --wait` asks for one")]
    as_of = moment(newest[0].completed_at or newest[0].ended_at)
    if all(_is_empty(account) for account in newest[0].accounts):
        found = f"{troubles.BALANCE_SHOWS_ZERO}: the newest balance, of {as_of}, is zero in every account"
        return [warning(found, troubles.CAUSES[troubles.BALANCE_SHOWS_ZERO])]
    return [ok(f"the newest balance, of {as_of}, is not empty")]


def _is_empty(account: Account) -> bool:
    amounts = (account.current, account.available, account.reserved, account.uncleared)
    return not any(amounts)

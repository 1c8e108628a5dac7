"""The page about the simulator in Markdown, made from the table of scenarios."""

from collections.abc import Iterable
from typing import Final

from ops.simulator.scenarios import SCENARIOS, Scenario

_OPENING: Final = """\
# The simulator

A Daraja on loopback that behaves, and misbehaves, as the real one does: every scenario below was seen in
the wild, stands in Daraja's pages, or follows from what does. `mpesa-balance simulator --list` prints this
page, which is made from the table that the simulator plays from.

## Choosing a scenario

- **By shortcode.** Register a shortcode of the table below: 6001xx are behaviours, 6002xx results, 6003xx
  answers of the gateway. 600000 and every number that is not in the table is `success`.
- **By file.** `--scenarios plan.json` (or `SIMULATOR_SCENARIOS`) with, for example,
  `{"600000": ["late", "success"], "default": "success"}`. A list is consumed one name a submission, and its
  last name repeats. `default` is for shortcodes that neither the plan nor the table below knows.
- **While it runs.** `PUT /simulator/scenarios` merges such a document into the plan, and what is put
  begins anew.

An error that passes comes once, and what is submitted after it is taken; at the end of a list, too. What is
refused before M-PESA sees it (a token, a limit, a wrong field) consumes nothing. A wrong password or an
unknown initiator plays `result-2001`, and a locked initiator `result-8006`, whatever was planned. Delays
before callbacks are log-normal (`--callback-delay` is their median, `--callback-spread` their sigma) and
the same for the same `--seed`; `mpesa-balance simulator --help` tells every option.

## Controlling it

What is wrong with a request to these is a 400 whose `errors` name all of it. A limit of `null` is none, and
a quota that is put is unused. The ledger holds no credential, no token and no path of a callback address.

"""

_ENDPOINTS: Final = (
    ("endpoint", "what it does"),
    ("---", "---"),
    ("`GET`, `PUT`, `DELETE /simulator/scenarios`", "Shows the plan, merges lists into it, resets it."),
    ("`POST /simulator/tokens/revoke`", "Every token becomes invalid: 404.001.03."),
    (
        "`GET`, `PUT /simulator/limits`",
        '`{"per_second": 5, "quota": 100}`: 500.003.02 for more in any second, 500.003.03 for more in all.',
    ),
    ("`PUT /simulator/maintenance`", '`{"seconds": 30}`: 00.002.1001 meanwhile; 0 ends it.'),
    ("`POST /simulator/initiator/unlock`", "Unlocks an initiator that wrong passwords have locked."),
    (
        "`GET`, `DELETE /simulator/ledger`",
        'What follows `?after=NUMBER`: `{"entries": [...], "next": NUMBER, "dropped": COUNT}`; empties it.',
    ),
    (
        "`GET /simulator/ledger/summary`",
        "Counts: queries accepted and refused; callbacks delivered, refused, lost and pending.",
    ),
    ("`GET /simulator/certificate`", "What security credentials are encrypted for, in PEM."),
)

_BETWEEN: Final = """
## Scenarios

What the system makes of a scenario is how its query stands after the last callback, and what becomes of
the callbacks in the order in which they are sent; the same bytes sent again are counted, and no more.

"""

_COLUMNS: Final = ("scenario", "shortcode", "what it does", "what the system makes of it", "test")


def page() -> str:
    """The whole page, with a line break at its end."""
    scenarios = (_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, SCENARIOS))
    return f"{_OPENING}{_table(_ENDPOINTS)}{_BETWEEN}{_table(scenarios)}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(scenario: Scenario) -> tuple[str, ...]:
    test = f"`tests/e2e/test_scenarios.py` `[{scenario.name}]`"
    return f"`{scenario.name}`", scenario.number, scenario.does, scenario.outcome, test

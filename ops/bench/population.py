"""Who was asked, in every system alike: the queries of one seed, their ids and their callbacks."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ops.simulator.payloads import open_conversation, success

#: What an organisation's shortcode has: the AccountBalance value of the Account Balance page.
BALANCE: Final = (
    "Working Account|KES|700000.00|700000.00|0.00|0.00&Float Account|KES|0.00|0.00|0.00|0.00"
    "&Utility Account|KES|228037.00|228037.00|0.00|0.00"
    "&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
    "&Organization Settlement Account|KES|0.00|0.00|0.00|0.00"
)

#: The first of the shortcodes; the others follow it.
_FIRST_SHORTCODE: Final = 700_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A query that M-PESA has taken, and one attempt of it."""

    query_id: UUID
    attempt_id: UUID
    originator: str
    conversation: str
    shortcode: str


def asked(seed: int, count: int, shortcodes: int) -> Iterator[Asked]:
    """The queries of this seed, spread over so many shortcodes. Ids are of one length each."""
    for number in range(count):
        made = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=32).digest()
        yield Asked(
            query_id=UUID(bytes=made[:16], version=4),
            attempt_id=UUID(bytes=made[16:], version=4),
            originator=f"{seed % 10**5:05}-{number:08}-1",
            conversation=f"AG_20261122_{made[:10].hex()}",
            shortcode=shortcode(number % shortcodes),
        )


def shortcode(number: int) -> str:
    """The shortcode with this number, counted from 0."""
    return str(_FIRST_SHORTCODE + number)


def result_around() -> tuple[bytes, bytes, bytes]:
    """A successful result as Daraja sends it, without its two ids: what is before, between and after."""
    document = success(open_conversation({"PartyA": shortcode(0)}, lambda _: BALANCE))
    document["Result"] |= {"OriginatorConversationID": "<originator>", "ConversationID": "<conversation>"}
    before, _, rest = json.dumps(document).partition("<originator>")
    between, _, after = rest.partition("<conversation>")
    return before.encode(), between.encode(), after.encode()

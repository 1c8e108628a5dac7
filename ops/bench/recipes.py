"""The requests of a load, made before its time begins: pieces of bytes that are joined as they are sent."""

from collections.abc import Callable, Mapping
from typing import Final

from mpesa_balance.callback_urls import PATH
from mpesa_balance.setting_checks import signer
from ops.bench.population import asked, result_around
from ops.bench.wire import head

#: One request: its pieces in order. Most of them are shared by all requests.
Pieces = tuple[bytes, ...]


def to_ours(seed: int, count: int, callback_keys: str) -> list[Pieces]:
    """Callbacks at addresses of our own, each with the token of its attempt."""
    signing = signer(callback_keys)
    before, between, after = result_around()
    made: list[Pieces] = []
    opening, rest = b"", b""
    for one in asked(seed, count, 1):
        if not made:
            length = len(before + between + after) + len(one.originator) + len(one.conversation)
            whole = head(f"{PATH}/<token>/result", f"Content-Length: {length}")
            opening, _, rest = whole.partition(b"<token>")
            rest += before
        token = signing.token(one.attempt_id).encode()
        ids = one.originator.encode(), one.conversation.encode()
        made.append((opening, token, rest, ids[0], between, ids[1], after))
    return made


def to_peer(seed: int, count: int, _: str) -> list[Pieces]:
    """The same callbacks at the one address that a peer has."""
    before, between, after = result_around()
    made: list[Pieces] = []
    opening = b""
    for one in asked(seed, count, 1):
        if not made:
            length = len(before + between + after) + len(one.originator) + len(one.conversation)
            opening = head("/callback", f"Content-Length: {length}") + before
        made.append((opening, one.originator.encode(), between, one.conversation.encode(), after))
    return made


def balance_asks(seed: int, count: int, _: str) -> list[Pieces]:
    """POST /balance, each for a shortcode of its own."""
    made: list[Pieces] = []
    for one in asked(seed, count, count):
        body = f'{{"shortcode": "{one.shortcode}"}}'.encode()
        made.append((head("/balance", f"Content-Length: {len(body)}") + body,))
    return made


#: By the name that a plan gives them: of a seed, a count and the keys of callback addresses.
RECIPES: Final[Mapping[str, Callable[[int, int, str], list[Pieces]]]] = {
    "ours": to_ours,
    "peer": to_peer,
    "balance": balance_asks,
}

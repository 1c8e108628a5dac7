"""Everything in the request: FastAPI, mpesakit and a psycopg pool, as their own docs show."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from ops.bench.peers.tables import COMPLETE, OPEN, STORE, account_balance, accounts

# By name, because only the extra "bench" installs these: types are checked without them.
_fastapi: Final[Any] = import_module("fastapi")
_mpesakit: Final[Any] = import_module("mpesakit")

_pool: Final = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=4, max_size=16, open=False)
_daraja: Final = _mpesakit.AsyncMpesaClient("key", "secret")
# It knows two environments, both of them Safaricom's.
_daraja.http_client._client.base_url = os.environ["DARAJA_URL"]

#: What M-PESA's test page makes of a password: the docs show one that is ready-made.
_CREDENTIAL: Final = "A" * 344
_CALLBACK_URL: Final = os.environ["CALLBACK_URL"]


@asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[None]:
    async with _pool:
        yield
    await _daraja.aclose()


async def ask(wanted: dict[str, str]) -> dict[str, str]:
    """Ask Daraja, store that, answer."""
    taken = await _daraja.balance.query(
        initiator="testapi",
        security_credential=_CREDENTIAL,
        command_id="AccountBalance",
        party_a=int(wanted["shortcode"]),
        identifier_type=4,
        remarks="Account balance query",
        result_url=_CALLBACK_URL,
        queue_timeout_url=_CALLBACK_URL,
    )
    async with _pool.connection() as connection:
        row = (wanted["shortcode"], taken.OriginatorConversationID, taken.ConversationID)
        stored = await (await connection.execute(OPEN, row)).fetchone()
    return {"id": str(stored[0]) if stored else ""}


async def callback(payload: dict[str, Any]) -> dict[str, Any]:
    """Read the result, store it, answer."""
    result = _daraja.process_account_balance_callback(payload).Result
    state = "completed" if str(result.ResultCode) == "0" else "failed"
    row = (state, str(result.ResultCode), result.ResultDesc, result.OriginatorConversationID)
    async with _pool.connection() as connection:
        found = await (await connection.execute(COMPLETE, row)).fetchone()
        if found is None:
            raise _fastapi.HTTPException(404, "this query is not known")
        # The library's model looks for the parameters in another place than Daraja puts them.
        document = Jsonb(accounts(account_balance(payload)))
        await connection.execute(STORE, (found[0], document))
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


app: Final = _fastapi.FastAPI(lifespan=_lifespan)
app.add_api_route("/balance", ask, methods=["POST"])
app.add_api_route("/callback", callback, methods=["POST"])

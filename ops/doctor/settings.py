"""Whether the programs' settings can be read."""

from typing import Final

from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import SettingsInvalid
from mpesa_balance.settings import WebhookSettings, WorkerSettings
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok

_REMEDY: Final = (
    "set each of them, in the environment or in the file that `mpesa-balance --env-file FILE doctor` "
    "names; `mpesa-balance keys new` makes a key"
)


def readable(_: Patient) -> list[Opinion]:
    """Those of the workers and of the webhook tier, in one list of what is wrong."""
    try:
        load(_of_both)
    except SettingsInvalid as wrong:
        return [error(str(wrong), _REMEDY)]
    return [ok("the settings of the workers and of the webhook tier can be read")]


def _of_both(reader: Reader) -> tuple[WorkerSettings, WebhookSettings]:
    return reader.worker(), reader.webhooks()

"""Finding the programs that live beside the library in a checkout or the image, not in the wheel."""

import importlib
from types import ModuleType

from mpesa_balance.errors import MpesaBalanceError


def program(name: str) -> ModuleType:
    """The module called `name`, such as "ops.migrate". Raises MpesaBalanceError where it is not there."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise MpesaBalanceError(
            f"this command needs {missing.name}: run it from a checkout after `make demo`, "
            "which installs everything, or in the image"
        ) from missing

"""Files with balances in them: nobody else may read them, and none is there half written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mpesa_balance.errors import RequestRefused


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of what is at `path` once it is whole.

    Raises RequestRefused where the disk does not take it; then what was there before stays.
    """
    try:
        # Beside it, so that it can take its place; made by this with rights for its owner alone.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            finally:
                # There is none any more where it has taken its place.
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise RequestRefused([f"{path} cannot be written: {error.strerror or error}"]) from error

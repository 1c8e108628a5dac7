"""`python -m tests.fuzz TARGET SECONDS`: let atheris look for bytes that break a target's promise.

It starts from the samples and the corpus that is kept, and writes what it finds beside it: a file that
breaks the promise goes into the corpus together with the mend.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mpesa_balance", "webhooks", "worker"]):
    from tests.fuzz.targets import TARGETS

from tests import samples
from tests.fuzz import CORPUS


def main(name: str, seconds: int) -> None:
    """Run one target for so long; the process ends with an error where it was broken."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (*samples.FOLDER.rglob("*.*"), *(CORPUS / name).glob("*")):
            shutil.copy(path, Path(folder) / path.name)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=5", "-verbosity=0"]
        found = CORPUS.parent / "found"
        found.mkdir(exist_ok=True)
        arguments = [sys.argv[0], *options, f"-artifact_prefix={found}/{name}-", folder]
        atheris.Setup(arguments, TARGETS[name])
        atheris.Fuzz()


main(sys.argv[1], int(sys.argv[2]))

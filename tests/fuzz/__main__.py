"""`python -m tests.fuzz TARGET SECONDS` lets atheris look for bytes that break a target's promise.

It starts from the samples and the corpora that are kept. What breaks a promise is written into
tests/fuzz/found: it goes into the corpus together with the mend. Without arguments the targets are
named.
"""

import shutil
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    # There are no wheels for this machine; what Hypothesis does in the same target has been done.
    sys.exit(0)

with atheris.instrument_imports(include=["mpesa_balance", "webhooks", "worker"]):
    from tests.fuzz.targets import TARGETS

from tests import samples
from tests.fuzz import CORPUS

FOUND = CORPUS.parent / "found"


def main(name: str, seconds: str) -> None:
    """Run one target for so long; the process ends with an error where it was broken."""
    FOUND.mkdir(exist_ok=True)
    words = CORPUS.parent / "words.dict"
    with tempfile.TemporaryDirectory() as folder:
        for path in (*samples.FOLDER.rglob("*.*"), *(CORPUS / name).glob("*")):
            shutil.copy(path, Path(folder) / path.name)
        print(f"Fuzzing {name} for {seconds} s ...", flush=True)
        limits = (f"-max_total_time={seconds}", "-max_len=4096", "-timeout=30")
        quiet = ("-verbosity=0", "-print_final_stats=1")
        into = (f"-dict={words}", f"-artifact_prefix={FOUND}/{name}-", folder)
        atheris.Setup([sys.argv[0], *limits, *quiet, *into], TARGETS[name])
        atheris.Fuzz()


if len(sys.argv) == 1:
    print("\n".join(TARGETS))
else:
    main(*sys.argv[1:])

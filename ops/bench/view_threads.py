"""The webhook tier with as many view threads as the environment says: for measurements only."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from webhooks.app import create_app
from webhooks.bridge import ThreadBridge
from webhooks.door import LONGEST_BODY

VIEW_THREADS: Final = "BENCH_VIEW_THREADS"


def create_server() -> ThreadBridge:
    """What granian serves."""
    threads = ThreadPoolExecutor(int(os.environ[VIEW_THREADS]), "view")
    return ThreadBridge(create_app(), LONGEST_BODY, threads)

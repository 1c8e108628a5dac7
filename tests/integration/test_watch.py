"""The watch over a worker: what it takes for deafness, and what it does not."""

import time
from types import SimpleNamespace

from celery import Celery

from mpesa_balance import contract
from worker.watch import Watch


def test_a_canary_that_is_out_when_the_broker_goes_says_nothing_of_the_worker() -> None:
    """It may have gone with the broker; the next one that is taken counts."""
    with Celery(broker="redis://127.0.0.1:1/0", set_as_current=False) as app:
        app.conf.broker_transport_options = {"socket_connect_timeout": 0.2}
        watch = Watch(SimpleNamespace(hostname="alone", app=app))
        watch._out_since = time.monotonic() - 3600
        watch._send(app, contract.SWEEP, 1)
        assert watch._out_since is not None
        watch._send(app, contract.CANARY, 1)
        assert watch._out_since is None

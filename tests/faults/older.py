"""A worker of an earlier release: it does not know the tasks that came since."""

from mpesa_balance import contract
from worker import tasks  # noqa: F401 - the tasks that it does know.
from worker.app import app

app.finalize()
for name in (contract.RECORD_SPOOLED, contract.JUDGE_CALLBACK, contract.QUARANTINE):
    app.tasks.unregister(name)

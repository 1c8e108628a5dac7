"""The Celery application: every setting with its reason, the queues and the beat schedule."""

from typing import Final

from celery import Celery, signals
from kombu import Exchange, Queue

from mpesa_balance import contract, logs
from mpesa_balance.broker_urls import tls_options
from mpesa_balance.environment import Reader, load_or_exit
from worker import log_context, transport

SETTINGS: Final = load_or_exit(Reader.worker)

#: How long a message may be out before Redis gives it to somebody else: longer than any task runs.
VISIBILITY_TIMEOUT: Final = 120

# A receiver of this signal keeps Celery from configuring logging in its own way.
# The earlier one comes before Celery warns of root.
for signal in (signals.celeryd_init, signals.setup_logging):
    signal.connect(lambda **_: logs.configure(SETTINGS.log_level, SETTINGS.log_format), weak=False)
log_context.install()

# What is no message at all must not end a worker either: see `worker_consumer` for what looks like one.
transport.register()

app = Celery(
    "mpesa-balance",
    broker=SETTINGS.broker.broker_url,
    include=["worker.tasks"],
    # A task that ends its process is counted, tried again, and set aside the third time.
    task_cls="worker.poison:GuardedTask",
)

app.conf.update(
    # The address says this too; Flower reads it only here.
    broker_use_ssl=tls_options(SETTINGS.broker.broker_url),
    # A task is bounded at 60 s, so a message that is out for 120 s has lost its worker. The
    # shortest value of all programs on a broker wins, so ours is the same everywhere.
    visibility_timeout=VISIBILITY_TIMEOUT,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT,
        # By default lost messages are looked for every 100 s; a killed worker should cost 5.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # A Redis that accepts and says nothing is given up on, not waited for.
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        # A half-open connection is noticed only if both this and the timeout are set.
        "health_check_interval": 5,
        # A message whose queue is not known is kept for people to look at, not dropped.
        "deadletter_queue": contract.UNROUTABLE_QUEUE,
    },
    # Redis may start after us, and may come back after any time.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Redis out of memory answers with errors; reconnect and wait instead of exiting.
    broker_channel_error_retry=True,
    # A broken connection must not cut an HTTP exchange with Daraja in half.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Postgres is the result; a result backend would be one more thing that leaks and blocks.
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    # JSON only: nothing that is read from the broker can run code.
    task_serializer="json",
    accept_content=["json"],
    result_accept_content=["json"],
    # A message is done when its work is committed, not when it was fetched.
    task_acks_late=True,
    # A killed child's message is tried again, a few seconds later.
    task_reject_on_worker_lost=False,
    task_retry_on_worker_lost=True,
    # Faults that pass are tried again by the tasks' own policy. What fails otherwise would fail
    # for ever: queries are rung again from Postgres, and the log says what became of the rest.
    task_acks_on_failure=True,
    task_acks_on_timeout=True,
    # No message waits in one worker's memory while another is idle.
    worker_prefetch_multiplier=1,
    # Five seconds of attending a line, then a token and a query at Daraja's deadline, the query twice, and
    # two slots of five seconds fit into the first; what is waited for then is recorded until the second. A
    # submission that is cut off by that is taken up again after its grace, which is longer.
    task_soft_time_limit=45,
    task_time_limit=60,
    # Children are replaced now and then, so that a leak in any library stays small. KiB.
    worker_max_tasks_per_child=5000,
    worker_max_memory_per_child=300_000,
    # Nothing of ours waits in a countdown for long; a flood of them would sit in memory.
    worker_eta_task_limit=1000,
    # Flower asks workers about themselves, and turns their events on while it is there. With nobody to
    # read them they would cost as much as the tasks do.
    worker_enable_remote_control=True,
    worker_send_task_events=False,
    # One more message for each, to say what the worker's own event says a moment later.
    task_send_sent_event=False,
    # Instants are aware UTC everywhere.
    enable_utc=True,
    timezone="UTC",
)

# What only looks like a message must not end a worker, nor wait in the queue for the next one.
app.conf.worker_consumer = "worker.envelopes:GuardedConsumer"

# A worker that is told to end does so in time.
app.steps["worker"].add("worker.stopping:Stopping")

# A worker that takes nothing any more notices, and ends itself to be started anew.
app.steps["worker"].add("worker.watch:Watch")

# Its main process tells Prometheus what all its processes count.
app.steps["worker"].add("worker.exposition:Exposing")

# Each queue has an exchange of its own, as Celery makes them for a plain `send_task(queue=...)`:
# a caller and a worker that disagree about it would write to a queue that nobody reads.
app.conf.task_queues = [
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for name in dict.fromkeys(contract.QUEUES.values())
]
app.conf.task_routes = {task: {"queue": queue} for task, queue in contract.QUEUES.items()}
app.conf.task_default_queue = contract.MAINTENANCE_QUEUE
# A typo in a queue's name must fail and not make a queue that nobody reads.
app.conf.task_create_missing_queues = False

# Written down after every tick, so that the file's age says whether beat is alive.
app.conf.beat_sync_every = 1
app.conf.beat_schedule = {
    "sweep": {
        "task": contract.SWEEP,
        "schedule": SETTINGS.intervals[contract.SWEEP],
        # A tick that waited a minute has been overtaken by others.
        "options": {"expires": 60},
    },
    "run-schedules": {
        "task": contract.RUN_SCHEDULES,
        "schedule": SETTINGS.intervals[contract.RUN_SCHEDULES],
        "options": {"expires": 60},
    },
    "refresh-tokens": {
        "task": contract.REFRESH_TOKENS,
        "schedule": SETTINGS.intervals[contract.REFRESH_TOKENS],
        "options": {"expires": 60},
    },
    "prune": {
        "task": contract.PRUNE,
        "schedule": SETTINGS.intervals[contract.PRUNE],
        "options": {"expires": 60},
    },
    "deliver-alerts": {
        "task": contract.DELIVER_ALERTS,
        "schedule": SETTINGS.intervals[contract.DELIVER_ALERTS],
        "options": {"expires": 60},
    },
}

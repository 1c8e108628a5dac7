"""A beat schedule in somebody else's project: plain Celery, without our package."""

import os

from celery import Celery
from celery.schedules import crontab

app = Celery("morning", broker=os.environ["BROKER_URL"])
app.conf.update(timezone="Africa/Nairobi")
app.conf.beat_schedule = {
    "balance-before-opening": {
        "task": "mpesa_balance.request_balance",
        "schedule": crontab(minute="30", hour="7", day_of_week="mon-sat"),
        "kwargs": {"shortcode": os.environ.get("SHORTCODE", "600000"), "requested_by": "morning"},
        # Our queue is declared by name; without it the message would go to this project's own.
        "options": {"queue": "mpesa-requests"},
    }
}

"""What the webhook tier counts: every metric of its processes, and a function for each place of them.

Nothing is made before it is needed: whether the processes of the tier count together is decided when its
server starts one. See webhooks/exposition.py.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mpesa_balance.callback_urls import PATH, RESULT, TIMEOUT
from mpesa_balance.metrics import Metrics

if TYPE_CHECKING:
    from webhooks.ingress import Gauges

#: A fsync takes a few milliseconds; a disk that says nothing is waited for three seconds.
_ANSWERS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_ADDRESS = re.compile(rf"{PATH}/[^/]+/(?P<kind>{RESULT}|{TIMEOUT})")


class Counted(Metrics):
    """The metrics of one process."""

    def __init__(self) -> None:
        super().__init__()
        self._make_those_of_answers()
        self._make_those_of_the_spool()
        # What is not there yet has no rate, so that the first of it would be missed.
        for kind in (RESULT, TIMEOUT):
            self.callbacks.labels(kind, HTTPStatus.OK.value)
            self.callbacks.labels(kind, HTTPStatus.INTERNAL_SERVER_ERROR.value)
            self.callbacks.labels(kind, HTTPStatus.SERVICE_UNAVAILABLE.value)
            self.answers.labels(kind)

    def _make_those_of_answers(self) -> None:
        self.callbacks = self._counter(
            "webhook_callbacks",
            "Requests to callback addresses, by the status of their answer.",
            "kind",
            "status",
        )
        self.answers = self._histogram(
            "webhook_answer_duration_seconds",
            "From the last byte of a callback until its answer.",
            _ANSWERS,
            "kind",
        )
        self.unknown_tokens = self._counter("webhook_unknown_tokens", "Tokens that we never made.")
        self.fallbacks = self._counter(
            "webhook_broker_fallback_callbacks", "Callbacks that only the broker took: the disk failed."
        )

    def _make_those_of_the_spool(self) -> None:
        self.publish_failures = self._counter(
            "spool_publish_failures", "Rounds to the broker that it did not take."
        )
        self.depth = self._gauge("spool_callbacks", "Callbacks without a receipt on disk.", "livesum")
        self.oldest = self._gauge(
            "spool_oldest_callback_age_seconds", "The age of the oldest of them.", "livemax"
        )
        self.failing = self._gauge("spool_failing", "Whether a disk takes nothing.", "livemax")


@lru_cache(maxsize=1)
def counted() -> Counted:
    """What this process counts."""
    return Counted()


def answered(path: str, status: int, seconds: float | None = None) -> None:
    """A request was answered; so many seconds after all of it was there, where all of it came."""
    address = _ADDRESS.fullmatch(path)
    # Strangers ask for anything, and monitors for our health.
    if address is None:
        return
    kind = address["kind"]
    counted().callbacks.labels(kind, status).inc()
    if seconds is not None:
        counted().answers.labels(kind).observe(seconds)


def token_unknown() -> None:
    """Somebody came with a token that we never made."""
    counted().unknown_tokens.inc()


def fell_back(callbacks: int) -> None:
    """So many callbacks are with the broker alone."""
    counted().fallbacks.inc(callbacks)


def publish_failed() -> None:
    """What is spooled could not be passed on."""
    counted().publish_failures.inc()


def spool_stands(gauges: "Gauges") -> None:
    """How this process's spool stands now."""
    counted().depth.set(gauges.depth)
    counted().oldest.set(gauges.oldest_seconds)
    counted().failing.set(not gauges.is_spooling)

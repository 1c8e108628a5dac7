"""Traces for OpenTelemetry: one of each request, from its caller through Daraja to the reply.

The spans of a request are told when it has ended, from what Postgres has of it. So they need no context
that travels between tasks, and a worker that is killed in between costs nothing of them. Where
OTEL_EXPORTER_OTLP_ENDPOINT is not set, nothing of this is done.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from celery import signals

from mpesa_balance import logs, traces
from mpesa_balance.database import Database
from mpesa_balance.errors import Unavailable
from mpesa_balance.happenings import Happening, QueryMoved
from mpesa_balance.traces import Exchange, Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

logger = logs.get_logger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_SAMPLED: Final = 1

#: What a process has not sent when it ends, it may still send for so long, in seconds.
_FAREWELL: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request stands in its trace: the trace, its own span, and the caller's above it."""

    trace_id: int
    span_id: int
    parent_id: int | None
    flags: int

    @classmethod
    def of(cls, request_id: UUID, trace_parent: str | None) -> "Place":
        """In its caller's trace, or in one of its own; its span's id follows from the request's."""
        span_id = _span_id(request_id)
        if trace_parent is None:
            return cls(request_id.int, span_id, None, _SAMPLED)
        _, trace_id, parent_id, flags = trace_parent.split("-")
        return cls(int(trace_id, 16), span_id, int(parent_id, 16), int(flags, 16))

    @property
    def header(self) -> str:
        """The traceparent of what follows from the request."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


#: Queries of this process that have ended, and requests that were answered at once, not yet told of.
_queries: list[UUID] = []
_requests: list[UUID] = []


def happened(one: Happening) -> None:
    """Something that a transaction did, which has committed."""
    if isinstance(one, QueryMoved) and one.is_ending and _processor() is not None:
        _queries.append(one.query_id)


def answered(request_id: UUID) -> None:
    """A request's answer was at hand."""
    if _processor() is not None:
        _requests.append(request_id)


def tell(database: Database) -> None:
    """Tell of all that has ended since the last time."""
    processor = _processor()
    if processor is None or not (_queries or _requests):
        return
    ended = _taken(_queries), _taken(_requests)
    try:
        with database.transaction() as connection:
            found = traces.ended(connection, *ended)
    except Unavailable as error:
        # No work waits for its trace.
        logger.warning("traces_lost", reason=str(error))
        return
    for trace in found:
        for span in _spans(trace):
            processor.on_end(span)


def _taken(ids: list[UUID]) -> list[UUID]:
    taken, ids[:] = ids[:], []
    return taken


def _spans(trace: Trace) -> Iterator[Any]:
    place = Place.of(trace.request_id, trace.trace_parent)
    about = {
        "mpesa_balance.shortcode": trace.shortcode,
        "mpesa_balance.request_id": str(trace.request_id),
        "mpesa_balance.query_id": str(trace.query_id),
        "mpesa_balance.state": trace.state,
        "mpesa_balance.answered_by": trace.answered_by,
    }
    if trace.result_code is not None:
        about["mpesa_balance.result_code"] = trace.result_code
    yield _span("balance request", place, trace.requested_at, trace.ended_at, about)
    for one in trace.exchanges:
        yield from _of_exchange(place, one, trace.ended_at)


def _of_exchange(place: Place, one: Exchange, ended_at: datetime) -> Iterator[Any]:
    span_id = _span_id(one.attempt_id)
    about: dict[str, Any] = {"mpesa_balance.attempt": one.number, "mpesa_balance.outcome": one.state}
    if one.http_status is not None:
        about["http.response.status_code"] = one.http_status
    below = Place(place.trace_id, span_id, place.span_id, place.flags)
    yield _span("submit to Daraja", below, one.sent_at, one.answered_at or ended_at, about, is_client=True)
    if one.received_at is not None:
        waiting = Place(place.trace_id, span_id ^ 1, place.span_id, place.flags)
        yield _span("wait for the callback", waiting, one.answered_at or one.sent_at, one.received_at, {})
        judging = Place(place.trace_id, span_id ^ 2, place.span_id, place.flags)
        yield _span("record and judge the callback", judging, one.received_at, ended_at, {})


def _span(
    name: str,
    place: Place,
    begun: datetime,
    ended: datetime,
    about: dict[str, Any],
    is_client: bool = False,
) -> Any:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

    def context(span_id: int) -> SpanContext:
        return SpanContext(place.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(place.flags))

    return ReadableSpan(
        name,
        context=context(place.span_id),
        parent=None if place.parent_id is None else context(place.parent_id),
        resource=_resource(),
        attributes=about,
        kind=SpanKind.CLIENT if is_client else SpanKind.INTERNAL,
        start_time=_nanoseconds(begun),
        # Two hosts' clocks are in it: what seems to have ended before it began took no time.
        end_time=max(_nanoseconds(begun), _nanoseconds(ended)),
    )


def _span_id(known: UUID) -> int:
    # The lower half: the upper one of an id that follows the clock is much the same for all of a moment.
    return (known.int & (1 << 64) - 1) or 1


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000) * 1000


@lru_cache(maxsize=1)
def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "mpesa-balance")})


def _processor() -> "BatchSpanProcessor | None":
    """What sends spans for this process, or None."""
    return _processor_of(os.getpid()) if any(map(os.environ.get, _ENDPOINTS)) else None


@lru_cache(maxsize=1)
def _processor_of(process: int) -> "BatchSpanProcessor | None":
    # The process is the key: its thread does not cross a fork.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        message = "pip install 'mpesa-balance[otel]', or take OTEL_EXPORTER_OTLP_ENDPOINT away"
        logger.warning("traces_not_sent", reason=f"{missing.name} is not installed", message=message)
        return None
    processor = BatchSpanProcessor(OTLPSpanExporter())
    signals.worker_process_shutdown.connect(lambda **_: _farewell(processor), weak=False)
    return processor


def _farewell(processor: "BatchSpanProcessor") -> None:
    # A collector that is away must not hold up the end of a process: it waits half a minute by itself.
    ending = threading.Thread(target=processor.shutdown, name="farewell", daemon=True)
    ending.start()
    ending.join(_FAREWELL)

"""A collector of OpenTelemetry, as far as spans go."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response


class Collector:
    """Takes spans over OTLP and HTTP."""

    def __init__(self) -> None:
        self.taken: list[Span] = []
        self.url = ""

    def __call__(self, environ: dict[str, object], start: object) -> object:
        message = ExportTraceServiceRequest.FromString(Request(environ).get_data())
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                self.taken += scope.spans
        return Response(b"", content_type="application/x-protobuf")(environ, start)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens meanwhile."""
    made = Collector()
    server = make_server("127.0.0.1", 0, made)
    made.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()

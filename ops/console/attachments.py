"""Answers that are files: what each is called, and of which kind it is."""

from collections.abc import Iterable
from typing import Final

from flask import Response

_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".pdf": "application/pdf",
}


def attachment(body: bytes | Iterable[bytes], stem: str, ending: str) -> Response:
    """A file for the browser to keep, not to show, of the kind that its ending says."""
    headers = {"Content-Disposition": f'attachment; filename="{stem}{ending}"'}
    return Response(body, headers=headers, content_type=_TYPES[ending])

"""What browsers are told about every answer: run nothing of strangers, keep nothing, be framed nowhere."""

from typing import Final

from flask import Flask, request
from werkzeug.wrappers import Response

#: No inline script and no inline style: what a text brings into a page does nothing there.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Pico draws its arrows from addresses that hold the picture.
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # To our own pages only: the check of forms under HTTPS reads it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

#: Two years, as those who keep the lists of HTTPS-only sites ask.
_STRICT_TRANSPORT: Final = "max-age=63072000; includeSubDomains"


def tell(app: Flask, *, is_encrypted: bool) -> None:
    """Put them on every answer."""

    def put(response: Response) -> Response:
        response.headers.update(_HEADERS)
        if is_encrypted:
            response.headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        # Balances stay in no cache: not in a proxy's, and not behind the back button once signed out.
        is_static = request.endpoint == "static" and response.status_code == 200
        response.headers["Cache-Control"] = "public, max-age=3600" if is_static else "no-store"
        return response

    app.after_request(put)

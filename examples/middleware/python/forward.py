"""Hands a request's deadline and trace on to what is called while it is served. Standard library alone."""
import contextvars
import time

LEFT = "x-envoy-expected-rq-timeout-ms"  # what is left of the caller's time, in milliseconds
TRACE = ("traceparent", "tracestate", "baggage", "x-request-id")
HOP = 0.001  # s, for the answer's way back: what Bowline takes off a hop, too
_request = contextvars.ContextVar("request", default=(None, {}))


class DeadlineExceeded(Exception):
    """The caller waits no longer."""


def take(headers):
    """Remembers what `headers`, by their names in lower case, say; every call until the next `take` is made for it."""
    left = headers.get(LEFT, "")
    deadline = time.monotonic() + int(left) / 1000 - HOP if left.isdecimal() else None
    _request.set((deadline, {name: headers[name] for name in TRACE if name in headers}))


def remaining():
    """Seconds that are left, for the `timeout` of a client; None without a deadline. Raises DeadlineExceeded."""
    deadline, _ = _request.get()
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded
    return left


def headers():
    """The headers for an outgoing request. Raises DeadlineExceeded."""
    left, trace = remaining(), _request.get()[1]
    return trace if left is None else {**trace, LEFT: str(int(left * 1000))}


def wsgi(app):
    """Flask, Django: `app.wsgi_app = forward.wsgi(app.wsgi_app)`."""
    def served(environ, start_response):
        take({name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")})
        return app(environ, start_response)
    return served


def asgi(app):
    """FastAPI, Starlette: `app = forward.asgi(app)`."""
    async def served(scope, receive, send):
        if scope["type"] == "http":
            take({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        await app(scope, receive, send)
    return served

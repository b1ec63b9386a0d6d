"""A service that calls the next one through the mesh: `hop.py PORT [NEXT]`, with HTTP_PROXY naming the mesh port."""
import json
import sys
import urllib.request
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import forward


def hop(environ, start_response):
    try:
        seen = {"service": "python", "remaining_ms": (forward.remaining() or 0) * 1000, "sent": forward.headers()}
        answers = [seen]
        if len(sys.argv) > 2:
            request = urllib.request.Request(f"http://{sys.argv[2]}/hop", headers=forward.headers())
            with urllib.request.urlopen(request, timeout=forward.remaining()) as answer:
                answers += json.load(answer)
        status, body = "200 OK", json.dumps(answers)
    except forward.DeadlineExceeded:
        status, body = "504 Gateway Timeout", "the caller waits no longer\n"
    except OSError as error:
        status, body = "502 Bad Gateway", f"{error}\n"
    body = body.encode()
    start_response(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
    return [body]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", int(sys.argv[1]), forward.wsgi(hop), Server, Quiet).serve_forever()

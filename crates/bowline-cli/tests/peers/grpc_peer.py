"""gRPC as Python's grpcio speaks it: `grpc_peer.py server PORT`, or `grpc_peer.py client PORT SERVER`.

Messages are plain bytes: what is under test is what stands between the two.
"""
import sys
import threading
import time
from concurrent import futures

import grpc

PREFIX = "/bowline.test.Matrix/"
BINARY = bytes(range(256))
LARGE = bytes(range(256)) * 12 * 1024  # 3 MiB, below every library's limit of 4
MESSAGE = "not here: Ünïcode, 100 %"

cancelled = 0


def server(port):
    def unary(request, context):
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata([(k, sent[k]) for k in ("x-tag", "x-tag-bin") if k in sent])
        context.set_trailing_metadata([("x-trailer-bin", BINARY)])
        return request

    def collect(requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def spread(request, context):
        for number in range(int(request)):
            yield str(number).encode()

    def chat(requests, context):
        yield from requests

    def fail(request, context):
        context.set_trailing_metadata([("grpc-status-details-bin", BINARY)])
        context.abort(grpc.StatusCode.NOT_FOUND, MESSAGE)

    def fail_late(request, context):
        yield b"one"
        fail(request, context)

    def slow(request, context):
        over = threading.Event()

        def ended():
            global cancelled
            cancelled += 1
            over.set()

        context.add_callback(ended)
        over.wait(20)
        return b""

    def count(request, context):
        return str(cancelled).encode()

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Spread": grpc.unary_stream_rpc_method_handler(spread),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Cancelled": grpc.unary_unary_rpc_method_handler(count),
    }
    running = grpc.server(futures.ThreadPoolExecutor(16))
    running.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bowline.test.Matrix", handlers)])
    running.add_insecure_port(f"127.0.0.1:{port}")
    running.start()
    running.wait_for_termination()


def client(port, server):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)])
    to = [("x-server", server)]

    def unary():
        answer = channel.unary_unary(PREFIX + "Unary")(b"hello there", timeout=20, metadata=to)
        assert answer == b"hello there", answer

    def large():
        answer = channel.unary_unary(PREFIX + "Unary")(LARGE, timeout=20, metadata=to)
        assert answer == LARGE, len(answer)

    def metadata():
        tags = [("x-tag", "a tag"), ("x-tag-bin", BINARY)]
        _, call = channel.unary_unary(PREFIX + "Unary").with_call(b"", timeout=20, metadata=to + tags)
        initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
        assert (initial["x-tag"], initial["x-tag-bin"]) == ("a tag", BINARY), initial
        # tonic's server has no trailing metadata for a good unary answer: it sends all of it first.
        assert {**initial, **trailing}["x-trailer-bin"] == BINARY, trailing

    def client_stream():
        answer = channel.stream_unary(PREFIX + "Collect")((b"x" * n for n in range(50)), timeout=20, metadata=to)
        assert answer == b"1225", answer

    def server_stream():
        answers = list(channel.unary_stream(PREFIX + "Spread")(b"200", timeout=20, metadata=to))
        assert answers == [str(n).encode() for n in range(200)], answers

    def both_stream():
        heard, next_one = [], threading.Semaphore(1)

        def say():
            # Each waits for the echo of the one before: nothing may be held back on the way.
            for number in range(20):
                assert next_one.acquire(timeout=20)
                yield str(number).encode()

        for answer in channel.stream_stream(PREFIX + "Chat")(say(), timeout=20, metadata=to):
            heard.append(answer)
            next_one.release()
        assert heard == [str(n).encode() for n in range(20)], heard

    def failed(call):
        try:
            call()
        except grpc.RpcError as error:
            return error
        raise AssertionError("it did not fail")

    def status():
        error = failed(lambda: channel.unary_unary(PREFIX + "Fail")(b"", timeout=20, metadata=to))
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert error.details() == MESSAGE, error
        assert dict(error.trailing_metadata())["grpc-status-details-bin"] == BINARY, error

    def late_status():
        answers = channel.unary_stream(PREFIX + "FailLate")(b"", timeout=20, metadata=to)
        assert next(answers) == b"one"
        error = failed(lambda: next(answers))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, MESSAGE), error

    def cancellations():
        return int(channel.unary_unary(PREFIX + "Cancelled")(b"", timeout=20, metadata=to))

    def reaches(before):
        until = time.monotonic() + 10
        while cancellations() <= before:
            assert time.monotonic() < until, "the callee never heard of it"
            time.sleep(0.02)

    def deadline():
        before = cancellations()
        error = failed(lambda: channel.unary_unary(PREFIX + "Slow")(b"", timeout=0.4, metadata=to))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        reaches(before)

    def cancel():
        before = cancellations()
        call = channel.unary_unary(PREFIX + "Slow").future(b"", timeout=20, metadata=to)
        threading.Timer(0.2, call.cancel).start()
        try:
            call.result()
            raise AssertionError("it was not cancelled")
        except grpc.FutureCancelledError:
            reaches(before)

    cases = [unary, large, metadata, client_stream, server_stream, both_stream, status, late_status, deadline, cancel]
    for case in cases:
        try:
            case()
            print(case.__name__, "ok", flush=True)
        except Exception as error:  # told, and the next case is tried
            print(case.__name__, "FAILED", repr(error).replace("\n", " "), flush=True)


if sys.argv[1] == "server":
    server(int(sys.argv[2]))
else:
    client(int(sys.argv[2]), sys.argv[3])

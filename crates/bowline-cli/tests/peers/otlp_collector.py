"""A collector of OTLP made of OpenTelemetry's own messages: `otlp_collector.py HTTP_PORT GRPC_PORT`.

Takes traces over HTTP/protobuf and over gRPC, and prints each span as one line of JSON.
"""

import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

PRINTING = threading.Lock()


def plain(attributes):
    def value(any_value):
        kind = any_value.WhichOneof("value")
        return getattr(any_value, kind) if kind else None

    return {attribute.key: value(attribute.value) for attribute in attributes}


def take(request, by):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                told = {
                    "by": by,
                    "resource": plain(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": trace_pb2.Span.SpanKind.Name(span.kind),
                    "status": trace_pb2.Status.StatusCode.Name(span.status.code),
                    "nanos": span.end_time_unix_nano - span.start_time_unix_nano,
                    "attributes": plain(span.attributes),
                    "events": [{"name": event.name, **plain(event.attributes)} for event in span.events],
                }
                with PRINTING:
                    print(json.dumps(told), flush=True)


class Posted(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            self.send_error(404)
            return
        take(service.ExportTraceServiceRequest.FromString(body), "http")
        answer = service.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Called(service_grpc.TraceServiceServicer):
    def Export(self, request, context):
        take(request, "grpc")
        return service.ExportTraceServiceResponse()


def main():
    http_port, grpc_port = sys.argv[1:]
    called = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    service_grpc.add_TraceServiceServicer_to_server(Called(), called)
    called.add_insecure_port(f"127.0.0.1:{grpc_port}")
    called.start()
    ThreadingHTTPServer(("127.0.0.1", int(http_port)), Posted).serve_forever()


main()

"""A client of the shop in Python: payment over gRPC, inventory over HTTP, both through the proxy that the
environment names (`http_proxy`, the mesh). Neither knows of Bowline.

`shop_client.py authorize ORDER SECONDS`: one authorization of one euro, given up after so long.
`shop_client.py stock TIMES`: the stock of A47, so many times.

Prints one line of JSON for each answer.
"""

import json
import sys
import urllib.error
import urllib.request

import grpc


def field(number, wire, content):
    """One field of a protobuf message: a number below 128, or bytes of fewer."""
    return bytes([number << 3 | wire]) + (bytes([content]) if wire == 0 else bytes([len(content)]) + content)


def authorize(order, seconds):
    amount = field(1, 0, 100) + field(2, 0, 1)  # 1.00 EUR
    wish = field(1, 2, order.encode()) + field(2, 2, amount)
    channel = grpc.insecure_channel("payment:80", [("grpc.enable_retries", 0)])
    call = channel.unary_unary("/bowline.shop.v1.Payment/Authorize")
    metadata = [("idempotency-key", order)]
    try:
        answer, done = call.with_call(wish, timeout=float(seconds), metadata=metadata)
        said = {"code": done.code().name, "answer": answer.hex()}
    except grpc.RpcError as error:
        said = {"code": error.code().name, "details": error.details()}
    print(json.dumps(said))


def stock(times):
    for _ in range(int(times)):
        try:
            with urllib.request.urlopen("http://inventory/stock/A47", timeout=20) as answer:
                said = {"status": answer.status, **json.load(answer)}
        except urllib.error.HTTPError as error:
            said = {"status": error.code, "details": error.read().decode()}
        print(json.dumps(said))


{"authorize": authorize, "stock": stock}[sys.argv[1]](*sys.argv[2:])

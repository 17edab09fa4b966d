"""A warehouse's stock as an HTTP endpoint, with Python's own library alone: something to call.

It serves its own machine only, and whoever shows the key.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ADDRESS = ("127.0.0.1", 8090)
KEY = "open-sesame"
BODY_BYTES_MAX = 64 * 1024

lock = threading.Lock()
items = {
    "bolt-8": {"sku": "bolt-8", "name": "Bolt M8", "quantity": 40},
    "nut-8": {"sku": "nut-8", "name": "Nut M8", "quantity": 7},
}
# What was ordered, by the caller's key: a call that is repeated orders once.
orders: dict[str, dict] = {}


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


def item(sku: str) -> dict:
    if sku not in items:
        raise Refused(404, f"there is no item {sku}")
    return items[sku]


def order(key: str | None, body: dict) -> dict:
    with lock:
        if key in orders:
            return orders[key]
        wanted, left = body["quantity"], item(body["sku"])
        if wanted > left["quantity"]:
            raise Refused(409, f"{left['quantity']} are left")
        left["quantity"] -= wanted
        done = {"order": len(orders) + 1, "sku": body["sku"], "left": left["quantity"]}
        orders[key or str(len(orders))] = done
        return done


class Stock(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(self.read)

    def do_POST(self) -> None:
        self.answer(self.write)

    def read(self):
        url = urlsplit(self.path)
        if url.path == "/items":
            below = parse_qs(url.query).get("below")
            return [it for it in items.values() if not below or it["quantity"] < int(below[0])]
        if url.path.startswith("/items/"):
            return item(unquote(url.path.removeprefix("/items/")))
        raise Refused(404, "there is nothing here")

    def write(self):
        if self.path != "/orders":
            raise Refused(404, "there is nothing here")
        length = int(self.headers.get("Content-Length", 0))
        if length > BODY_BYTES_MAX:
            raise Refused(413, "that is too much")
        return order(self.headers.get("Idempotency-Key"), json.loads(self.rfile.read(length)))

    def answer(self, work) -> None:
        try:
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                raise Refused(401, "show the key")
            status, body = 200, work()
        except Refused as refused:
            status, body = refused.status, {"error": str(refused)}
        except (KeyError, TypeError, ValueError) as error:
            status, body = 400, {"error": str(error)}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status >= 400:
            # The body may be unread.
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(ADDRESS, Stock)
    print(f"the stock is at http://{ADDRESS[0]}:{ADDRESS[1]}", flush=True)
    server.serve_forever()

"""/metrics, /healthz and /readyz, served by threads of their own: so a master whose loop is stuck can still be seen to be."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from morphml_core.errors import MorphMLError
from morphml_distributed.security.settings import host_of, port_of

_TIMEOUT = 10.0


class Pages:
    """A small HTTP server.  `healthy` and `ready` return a sentence where that is not so, and "" where it is.

    Raises `MorphMLError` where it cannot listen.
    """

    def __init__(
        self, address: str, metrics: Callable[[], bytes], healthy: Callable[[], str], ready: Callable[[], str]
    ) -> None:
        host, port = host_of(address), port_of(address)
        if port is None:
            raise MorphMLError(
                f"the option 'metrics' of the executor 'grpc' is '{address}'; write HOST:PORT, such as 127.0.0.1:9464"
            )
        pages = {
            "/metrics": lambda: (200, metrics()),
            "/healthz": lambda: _judged(healthy()),
            "/readyz": lambda: _judged(ready()),
        }
        try:
            self._server = _Server((host, port), _handler(pages))
        except OSError as error:
            raise MorphMLError(f"metrics cannot be served at {address}: {error.strerror or error}") from None
        self.address = f"{address.rpartition(':')[0]}:{self._server.server_port}"
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor that has left in the middle is no news."""


def _judged(trouble: str) -> tuple[int, bytes]:
    return (503, f"{trouble}\n".encode()) if trouble else (200, b"ok\n")


def _handler(pages: dict[str, Callable[[], tuple[int, bytes]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT

        def do_GET(self) -> None:
            """One page."""
            page = pages.get(self.path.partition("?")[0])
            status, body = (404, b"there is /metrics, /healthz and /readyz\n") if page is None else page()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not logged."""

    return Handler

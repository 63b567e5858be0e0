"""A server that is none of ours."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType


@contextmanager
def answering(
    status: int, body: bytes, other: Mapping[str, tuple[int, bytes]] = MappingProxyType({}), **headers: str
) -> Iterator[str]:
    """The address of a server that answers everything with this, but the paths in `other`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            code, text = other.get(self.path, (status, body))
            self.send_response_only(code)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""The HTTP server of a sandbox: threads, keep-alive, TLS and a clean stop."""

import io
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Protocol, Self
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from endpoints.sandbox.tls import Certificate

IDLE_CONNECTION_SECONDS = 75
STOP_SECONDS = 10.0


class ServedApp(Protocol):
    """What a server needs of an application beyond WSGI."""

    base_url: str

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any: ...

    def open(self) -> None: ...

    def close(self) -> None: ...


class SandboxServer:
    """Serves one sandbox application in a thread (`start`) or in the foreground (`serve_forever`).

    `port` 0 takes a free one. Raises OSError when the port is taken. `stop` ends open connections, waits for
    requests in flight and closes the application. Also a context manager: started inside, stopped after.
    """

    def __init__(
        self, app: ServedApp, host: str = "127.0.0.1", port: int = 0, certificate: Certificate | None = None
    ) -> None:
        self.app = app
        self._connections = _Connections()
        self._thread: threading.Thread | None = None
        self._serving = threading.Event()
        self._stopped = threading.Event()
        self._server = _bind(app, host, port, certificate, self._connections)
        self.port = self._server.port
        self.url = f"{'https' if certificate else 'http'}://{host}:{self.port}"
        app.base_url = self.url

    def start(self) -> Self:
        """Serve in a thread of its own; requests are answered when this returns."""
        self.app.open()
        self._serving.set()
        self._thread = threading.Thread(target=self._serve, name=f"sandbox {self.url}", daemon=True)
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until `stop` is called from another thread."""
        self.app.open()
        self._serving.set()
        self._serve()

    def stop(self) -> None:
        """Stop accepting, close idle connections, let requests in flight finish, close the application."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        if self._serving.is_set():
            self._server.shutdown()
        self._server.server_close()
        self._connections.close_all(STOP_SECONDS)
        if self._thread:
            self._thread.join(STOP_SECONDS)
        self.app.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)


class _Connections:
    """Open connections, so that a stopped server leaves none that still answers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy: dict[socket.socket, bool] = {}
        self._closing = False

    def mark(self, connection: socket.socket, busy: bool) -> None:
        with self._changed:
            self._busy[connection] = busy
            if self._closing and not busy:
                hang_up(connection)

    def remove(self, connection: socket.socket) -> None:
        with self._changed:
            self._busy.pop(connection, None)
            self._changed.notify_all()

    def close_all(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            self._closing = True
            for connection in [each for each, busy in self._busy.items() if not busy]:
                hang_up(connection)
            while self._busy and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            for connection in self._busy:
                hang_up(connection)


class _Handler(WSGIRequestHandler):
    """Werkzeug's handler with keep-alive, without log lines, and with the request body read up front."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_CONNECTION_SECONDS
    disable_nagle_algorithm = True
    connections: _Connections

    def setup(self) -> None:
        super().setup()
        self.connections.mark(self.connection, busy=False)

    def finish(self) -> None:
        self.connections.remove(self.connection)
        super().finish()

    def run_wsgi(self) -> None:
        self.connections.mark(self.connection, busy=True)
        try:
            self._answer(self.make_environ())
        except (ConnectionError, TimeoutError, ValueError, ssl.SSLError):
            self.close_connection = True
        finally:
            self.connections.mark(self.connection, busy=False)

    def _answer(self, environ: WSGIEnvironment) -> None:
        # Werkzeug closes each connection because an unread body would be taken for the next request.
        body = _read_body(environ)
        environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            head[:] = [status, headers]
            return None

        chunks = self.server.app(environ, start_response)
        try:
            content = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        self._send(head[0], head[1], content)

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if int(code) not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Stay silent: what was asked is listed at /_sandbox/requests."""


class _PatientContext(ssl.SSLContext):
    """Leaves the handshake to the connection's own thread, so that a silent client blocks nobody else."""

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **{**options, "do_handshake_on_connect": False})


def hang_up(connection: socket.socket) -> None:
    """Shut a connection down both ways: the other side sees it end without an answer."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already gone


def _bind(
    app: ServedApp, host: str, port: int, certificate: Certificate | None, connections: _Connections
) -> BaseWSGIServer:
    handler = type("SandboxHandler", (_Handler,), {"connections": connections})
    context = None
    if certificate:
        context = _PatientContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
    # Bound here, because werkzeug ends the whole process when the port is taken.
    with socket.create_server((host, port), backlog=128) as listener:
        return make_server(
            host,
            listener.getsockname()[1],
            app,
            threaded=True,
            request_handler=handler,
            ssl_context=context,
            fd=listener.fileno(),
        )


def _read_body(environ: WSGIEnvironment) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return b"".join(iter(lambda: stream.read(65536), b""))
    length = int(environ.get("CONTENT_LENGTH") or "0")
    body: bytes = stream.read(length)
    if len(body) < length:
        raise ConnectionResetError("the client left before its request was complete")
    return body

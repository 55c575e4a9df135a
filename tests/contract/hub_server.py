"""A hub on this machine that can misbehave: real sockets, real HTTP, no network."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Handler", bytes, int], None]


@dataclass
class HubServer:
    """What it serves and what it was asked.

    Attributes:
        files: path -> content.
        behaviours: path -> what to do for the next requests, one after the other; then files are served properly.
        asked: (path, Range header) of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    behaviours: dict[str, list[Behaviour]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        with self.hub.lock:
            self.hub.asked.append((self.path, span))
            queue = self.hub.behaviours.get(self.path, [])
            behaviour = queue.pop(0) if queue else proper
        content = self.hub.files.get(self.path)
        if content is None and behaviour is proper:
            self.answer(404, b"")
            return
        found = re.fullmatch(r"bytes=(\d+)-", span)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            behaviour(self, content or b"", int(found[1]) if found else 0)

    def answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True


def proper(request: Handler, content: bytes, start: int) -> None:
    """Ranges and ETag, as hubs do."""
    if start >= len(content) > 0 and start:
        request.answer(416, b"", Content_Range=f"bytes */{len(content)}")
    elif start:
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.answer(206, content[start:], Content_Range=place, ETag='"one"')
    else:
        request.answer(200, content, ETag='"one"')


def cuts_after(count: int) -> Behaviour:
    """Promise the rest of the file, send ``count`` bytes, and hang up."""

    def behave(request: Handler, content: bytes, start: int) -> None:
        rest = content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("ETag", '"one"')
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        request.wfile.write(rest[:count])
        request.cut()

    return behave


def stalls_after(count: int, seconds: float) -> Behaviour:
    """Send ``count`` bytes, then nothing for a while, then hang up."""

    def behave(request: Handler, content: bytes, start: int) -> None:
        cuts_after(count)(request, content, start)
        time.sleep(seconds)

    return behave


def promises(total: int, body: bytes, seconds: float) -> Behaviour:
    """Announce ``total`` bytes, send ``body``, and keep the line open."""

    def behave(request: Handler, content: bytes, start: int) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(total))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()
        time.sleep(seconds)

    return behave


def drips(blocks: int, pause: float) -> Behaviour:
    """Send everything, slowly."""

    def behave(request: Handler, content: bytes, start: int) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        step = len(content) // blocks + 1
        for at in range(0, len(content), step):
            request.wfile.write(content[at : at + step])
            request.wfile.flush()
            time.sleep(pause)

    return behave


def answers(code: int, **headers: str) -> Behaviour:
    """Only a status."""
    return lambda request, content, start: request.answer(code, b"no", **headers)


def redirects(target: str) -> Behaviour:
    return answers(302, Location=target)


def ignores_ranges(request: Handler, content: bytes, start: int) -> None:
    """The whole file with status 200, whatever was asked for."""
    request.answer(200, content, ETag='"one"')


def sends_another_part(request: Handler, content: bytes, start: int) -> None:
    """A part that nobody asked for."""
    begin = start + 1
    request.answer(206, content[begin:], Content_Range=f"bytes {begin}-{len(content) - 1}/{len(content)}")


def sends(body: bytes) -> Behaviour:
    """Another content than the file's."""
    return lambda request, content, start: request.answer(200, body)


def sends_without_length(body: bytes) -> Behaviour:
    """No Content-Length: the end of the connection is the end of the file."""

    def behave(request: Handler, content: bytes, start: int) -> None:
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(body)
        request.cut()

    return behave


@contextlib.contextmanager
def serving() -> Iterator[HubServer]:
    hub = HubServer()
    handler = type("Bound", (Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Serves one file on this machine, for ui.perfetto.dev in the user's browser."""

from __future__ import annotations

import http.server
from pathlib import Path

import click

from profkit.cli.signals import SignalReceived
from profkit.errors import CaptureError
from profkit.files import open_regular

ORIGIN = "https://ui.perfetto.dev"
LOOPBACK = "127.0.0.1"


def serve(path: Path, port: int, *, open_browser: bool) -> None:
    """Serve ``path`` until Ctrl-C, to pages of ui.perfetto.dev only.

    Raises InputError if it cannot be read, CaptureError if the port is in use.
    """
    with open_regular(path) as stream:
        content = stream.read()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # a page that rebinds its own host name to this machine sends that name (DNS rebinding)
            is_local = self.headers.get("Host") in (f"{LOOPBACK}:{port}", f"localhost:{port}")
            found = is_local and self.path.partition("?")[0] == f"/{path.name}"
            self.send_response(200 if found else 404 if is_local else 403)
            self.send_header("Access-Control-Allow-Origin", ORIGIN)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    try:
        server = http.server.ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        hint = "Stop the program that uses this port: ui.perfetto.dev reads local traces from no other port."
        raise CaptureError(f"cannot listen on {LOOPBACK}:{port} ({error.strerror})", hint=hint) from None
    address = f"{ORIGIN}/#!/?url=http://{LOOPBACK}:{port}/{path.name}"
    with server:
        try:
            click.echo(f"Perfetto: {address}  (Ctrl-C to stop)")
            if open_browser:
                click.launch(address)
            server.serve_forever()
        except SignalReceived:
            raise
        except KeyboardInterrupt:  # the way to stop it
            click.echo("", err=True)

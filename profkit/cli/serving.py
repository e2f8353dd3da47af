"""Serves one file on this machine to ui.perfetto.dev, which fetches it from the reader's own browser."""

from __future__ import annotations

import http.server
from pathlib import Path

import click

from profkit.errors import CaptureError

ORIGIN = "https://ui.perfetto.dev"
LOOPBACK = "127.0.0.1"


def serve(path: Path, port: int, *, opens: bool) -> None:
    """Serve ``path`` until Ctrl-C, to pages of Perfetto's only; raises CaptureError where the port is taken."""
    content = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ours = self.headers.get("Host") in (f"{LOOPBACK}:{port}", f"localhost:{port}")  # no page rebinds its name
            found = ours and self.path.partition("?")[0] == f"/{path.name}"
            self.send_response(200 if found else 404 if ours else 403)
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
        hint = "Perfetto takes traces from this port alone: end what listens there."
        raise CaptureError(f"{LOOPBACK}:{port} cannot be listened on ({error.strerror})", hint=hint) from None
    address = f"{ORIGIN}/#!/?url=http://{LOOPBACK}:{port}/{path.name}"
    click.echo(f"Perfetto: {address}  (Ctrl-C ends it)")
    if opens:
        click.launch(address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)

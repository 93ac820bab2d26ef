"""A proxy on loopback that knows CONNECT only."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading


class Tunnel:
    """`url` is its address; `targets` tell where clients went through it; hub.test is this computer."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tunnel = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop; every thread has ended."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    tunnel: Tunnel


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        words = self.rfile.readline().split()
        while self.rfile.readline().strip():
            pass
        host, port = words[1].decode().split(":")
        self.server.tunnel.targets.append(f"{host}:{port}")
        with socket.create_connection((host.replace("hub.test", "127.0.0.1"), int(port))) as other:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_copy, args=(other, self.connection))
            back.start()
            _copy(self.connection, other)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

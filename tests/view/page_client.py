"""What talks to the page's server without a browser."""

import http.client
import json
import struct
from contextlib import contextmanager, suppress

import cv2
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LIMIT_S = 60


def get(port, path="/", method="GET", **headers):
    """Return status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


@contextmanager
def viewer(port, token="", origin=None, layers=("fused",), width=640, hello=True):
    """Connect as the page does."""
    address = f"127.0.0.1:{port}"
    with connect(
        f"ws://{address}/live",
        origin=f"http://{address}" if origin is None else origin,
        compression=None,
        open_timeout=LIMIT_S,
        max_size=None,
        close_timeout=1,
    ) as socket:
        client = Client(socket)
        if hello:
            client.send(kind="hello", token=token)
            with suppress(ConnectionClosed):  # one that is refused may be closed by now
                client.send(kind="show", layers=list(layers), width=width)
        yield client


class Client:
    def __init__(self, socket):
        self.socket = socket

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def receive(self):
        """Return the next message: a status or problem, or (header, pictures)."""
        data = self.socket.recv(timeout=LIMIT_S)
        if isinstance(data, str):
            return json.loads(data)
        (length,) = struct.unpack(">I", data[:4])
        header, offset, pictures = json.loads(data[4 : 4 + length]), 4 + length, {}
        for layer, size in header["layers"]:
            packed = np.frombuffer(data[offset : offset + size], np.uint8)
            pictures[layer] = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
            offset += size
        assert offset == len(data)
        return header, pictures

    def picture(self, acknowledge=True):
        """Return the next picture, and say that it was drawn."""
        while True:
            message = self.receive()
            if isinstance(message, tuple):
                if acknowledge:
                    self.send(kind="drawn", frame=message[0]["number"])
                return message

    def until(self, condition):
        """Take pictures and messages until one of the messages fulfils a condition."""
        while True:
            message = self.receive()
            if isinstance(message, tuple):
                self.send(kind="drawn", frame=message[0]["number"])
            elif condition(message):
                return message

    def status(self, condition=lambda status: True):
        return self.until(lambda message: message["kind"] == "status" and condition(message))

    def problem(self):
        return self.until(lambda message: message["kind"] == "problem")["text"]

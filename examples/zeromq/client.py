"""Sends files to the server, and prints what it says of them. Knows ZeroMQ, and nothing of Tandem.

    python3 client.py FILE...
"""

import json
import os
import sys

import zmq

FRONTEND = os.environ.get("FRONTEND", "tcp://127.0.0.1:6660")
TIMEOUT = 20_000  # milliseconds, for each attempt
ATTEMPTS = 3

context = zmq.Context()
identity = f"statistics-{os.getpid()}".encode()


class CallError(Exception):
    """The call has failed, and the server says why."""


def ask(payload):
    """Asks again over a new connection if no answer comes. The identity tells the door who asks, so it does not run a
    call again that it has in work."""
    for _ in range(ATTEMPTS):
        with context.socket(zmq.REQ) as socket:
            socket.identity = identity
            socket.linger = 0
            socket.rcvtimeo = TIMEOUT
            socket.connect(FRONTEND)
            socket.send(payload)
            try:
                frames = socket.recv_multipart()
            except zmq.Again:
                continue
        if frames[0] == b"TANDEM-ERROR" and len(frames) == 3:
            raise CallError(f"{frames[1].decode()}, {frames[2].decode()}")
        return frames[0]
    raise TimeoutError("the server seems to be offline")


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        found = json.loads(ask(file.read()))
    print(f"{path}: {found['lines']} lines, {found['words']} words, "
          f"the longest is {found['longest']!r}, the most frequent {found['mostFrequent']!r}")

try:
    ask(b"\xff is no UTF-8")
except CallError as error:
    print("refused:", str(error).split(":")[0])

ask(b"quit")

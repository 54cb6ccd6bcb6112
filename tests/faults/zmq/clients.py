"""Clients of ZeroMQ that know nothing of Tandem. Their only argument is a plan, which load.ts describes."""

import json
import random
import sys
import time
import zmq

plan = json.loads(sys.argv[1])
chance = random.Random(plan["seed"])
context = zmq.Context()
poller = zmq.Poller()
# A process that stands still for so long is not a proof of anything.
give_up_after = 120
print(json.dumps({"runtime": "python"}), flush=True)


class Client:
    def __init__(self, number):
        self.number = number
        self.socket = None
        # By id: how often it was asked for, until when it may take, and what it asks for.
        self.waiting = {}
        self.connect()

    def connect(self):
        if self.socket is not None:
            poller.unregister(self.socket)
            clients.pop(self.socket)
            self.socket.close(linger=0)
        self.socket = context.socket(zmq.REQ if plan["form"] == "req" else zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = 0
        self.socket.rcvhwm = 0
        if plan["identity"] is not None:
            self.socket.setsockopt_string(zmq.IDENTITY, f'{plan["identity"]}-{self.number}')
        self.socket.connect(plan["endpoint"])
        poller.register(self.socket, zmq.POLLIN)
        clients[self.socket] = self

    def fill(self):
        while len(self.waiting) < plan["outstanding"]:
            id = next_id()
            if id is None:
                return
            work = chance.randint(*plan["work"])
            self.waiting[id] = [0, 0.0, f"{id} {work}"]
            self.ask(id)

    def ask(self, id):
        call = self.waiting[id]
        call[0] += 1
        patience = give_up_after if plan["patience"] is None else chance.randint(*plan["patience"]) / 1000
        call[1] = time.monotonic() + patience
        text = str(id).encode()
        frames = [text, call[2].encode()] if plan["idFrame"] else [call[2].encode()]
        if plan["form"] == "dealer":
            frames = [text, b""] + frames
        self.socket.send_multipart(frames)

    def hear(self):
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if plan["form"] == "dealer":
                id = int(frames.pop(0))
                if frames.pop(0) != b"":
                    raise Exception(f"call {id} was answered without an empty frame")
            else:
                id = next(iter(self.waiting))
            if plan["idFrame"] and int(frames.pop(0)) != id:
                raise Exception(f"call {id} was answered with another id")
            self.end(id, frames)
            self.fill()
            if not self.waiting:
                return

    def end(self, id, frames):
        if id not in self.waiting:
            # A client that asks again may get the answer of each time; the id says that it knows it already.
            if plan["patience"] is not None:
                return
            raise Exception(f"call {id} was answered twice")
        if frames[0] == b"TANDEM-ERROR":
            if len(frames) != 3:
                raise Exception(f"call {id} has an error of {len(frames)} frames")
            outcome = frames[1].decode()
            if outcome in plan["retried"]:
                return self.ask(id)
        else:
            if len(frames) != 1 or frames[0].split(b" ")[0] != str(id).encode():
                raise Exception(f"call {id} was answered with {frames!r}")
            outcome = "done"
        attempts = self.waiting.pop(id)[0]
        results.append(f"{id} {attempts} {outcome}\n")

    def look_at_clock(self):
        if plan["patience"] is None:
            late = [id for id, (_, until, _) in self.waiting.items() if time.monotonic() > until]
            if late:
                raise Exception(f"call {late[0]} was not answered in {give_up_after} s")
            return
        # As a pirate does: over a new connection, with everything that has no answer.
        if any(time.monotonic() > until for _, until, _ in self.waiting.values()):
            self.connect()
            for id in self.waiting:
                self.ask(id)


given = 0


def next_id():
    global given
    if given == plan["calls"]:
        return None
    given += 1
    return plan["first"] + given - 1


clients = {}
results = []
for number in range(plan["clients"]):
    Client(number).fill()
tick = 1000 if plan["patience"] is None else 5
looked = heard = time.monotonic()
while len(results) < plan["calls"]:
    for socket, _ in poller.poll(tick):
        if socket in clients:
            clients[socket].hear()
            heard = time.monotonic()
    if time.monotonic() - looked > tick / 1000:
        for client in list(clients.values()):
            client.look_at_clock()
        looked = time.monotonic()
    if looked - heard > give_up_after:
        raise Exception("no answer comes any more")
with open(plan["results"], "w") as file:
    file.writelines(results)
print(json.dumps({"calls": len(results)}), flush=True)
context.destroy(linger=0)

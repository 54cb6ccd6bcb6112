/** CURVE: encrypted connections, and who the clients are. */
import { assertEquals } from "@std/assert";
import { callContext, type Peer, serve } from "../../mod.ts";
import { newTarget, test } from "../support/harness.ts";
import {
  counted,
  noPyzmq,
  openDoorTo,
  openServed,
  PythonClients,
  shout,
  type SocketOptions,
} from "../support/zmq.ts";

const skip = noPyzmq;

interface Keys {
  readonly publicKey: string;
  readonly secretKey: string;
}

async function keysOf(clients: PythonClients): Promise<Keys> {
  const [publicKey, secretKey] = await clients.tell<[string, string]>("keys");
  return { publicKey, secretKey };
}

/** How a socket with these keys is opened. */
function withKeys({ publicKey, secretKey }: Keys, door: Keys, identity?: string): SocketOptions {
  const options = {
    CURVE_PUBLICKEY: publicKey,
    CURVE_SECRETKEY: secretKey,
    CURVE_SERVERKEY: door.publicKey,
  };
  return { options, ...identity === undefined ? {} : { identity } };
}

test("an allowed key: requests are served, and the key reaches the handler", async () => {
  const clients = await PythonClients.start();
  const [own, key] = [await keysOf(clients), await keysOf(clients)];
  const peers: Peer[] = [];
  const { door } = await openServed((request) => {
    peers.push(request.peer);
    return shout(request);
  }, { curve: { secretKey: own.secretKey, allow: [key.publicKey] } });
  await clients.open("a", "REQ", door.endpoint, withKeys(key, own));
  assertEquals(await clients.request("a", "secret"), ["SECRET"]);
  assertEquals(peers.map(({ address, key }) => [address, key]), [["127.0.0.1", key.publicKey]]);
  await counted(door, { handshakeFailures: 0, connections: 1 });
}, { skip });

test("callContext() of a service has the key, too", async () => {
  const clients = await PythonClients.start();
  const [own, key] = [await keysOf(clients), await keysOf(clients)];
  const target = newTarget();
  await using _service = serve(target, { whoAmI: () => callContext()!.peer.key });
  const door = await openDoorTo(target, { curve: { secretKey: own.secretKey } });
  await clients.open("a", "REQ", door.endpoint, withKeys(key, own));
  assertEquals(await clients.request("a", "x"), [key.publicKey]);
}, { skip });

test(
  "a key that is not allowed, no key, and a wrong key of the door: refused and counted",
  async () => {
    const clients = await PythonClients.start();
    const [own, key, foreign] = [
      await keysOf(clients),
      await keysOf(clients),
      await keysOf(clients),
    ];
    let runs = 0;
    const { door } = await openServed((request) => {
      runs += 1;
      return shout(request);
    }, { curve: { secretKey: own.secretKey, allow: [key.publicKey] } });
    // A refused client would go on and on.
    const once = { RECONNECT_IVL: -1 };
    const refused: readonly SocketOptions[] = [
      withKeys(foreign, own),
      {},
      withKeys(key, foreign),
    ];
    let failures = 0;
    for (const { options = {} } of refused) {
      await clients.open("refused", "DEALER", door.endpoint, { options: { ...options, ...once } });
      // Without a connection, it could wait for ever.
      await clients.tell("try_send", { on: "refused", frames: ["", "work"], count: 1 });
      await counted(door, { handshakeFailures: failures += 1, connections: 0 });
      assertEquals(await clients.receive("refused", 0), null);
      await clients.close("refused");
    }
    await clients.open("a", "REQ", door.endpoint, withKeys(key, own));
    assertEquals(await clients.request("a", "work"), ["WORK"]);
    assertEquals([runs, door.stats().handshakeFailures, door.stats().cut], [1, 3, 0]);
  },
  { skip },
);

test(
  "an empty list lets nobody in; without a list everybody who has the door's key may come",
  async () => {
    const clients = await PythonClients.start();
    const [own, key] = [await keysOf(clients), await keysOf(clients)];
    const { door: closed } = await openServed(shout, {
      curve: { secretKey: own.secretKey, allow: [] },
    });
    const { options } = withKeys(key, own);
    await clients.open("a", "DEALER", closed.endpoint, {
      options: { ...options, RECONNECT_IVL: -1 },
    });
    await counted(closed, { handshakeFailures: 1 });
    const { door } = await openServed(shout, { curve: { secretKey: own.secretKey } });
    await clients.open("b", "REQ", door.endpoint, withKeys(key, own));
    assertEquals(await clients.request("b", "x"), ["X"]);
  },
  { skip },
);

test("a client with CURVE at a door without: it is refused, and others are served", async () => {
  const clients = await PythonClients.start();
  const [own, key] = [await keysOf(clients), await keysOf(clients)];
  const { door } = await openServed(shout);
  const { options } = withKeys(key, own);
  await clients.open("a", "DEALER", door.endpoint, { options: { ...options, RECONNECT_IVL: -1 } });
  await counted(door, { handshakeFailures: 1, connections: 0 });
  await clients.open("b", "REQ", door.endpoint);
  assertEquals(await clients.request("b", "x"), ["X"]);
}, { skip });

test(
  "the identity of a client with another key: PERMISSION, and the owner gets its answers",
  async () => {
    const clients = await PythonClients.start();
    const [own, key, other] = [
      await keysOf(clients),
      await keysOf(clients),
      await keysOf(clients),
    ];
    const { door } = await openServed(shout, {
      curve: { secretKey: own.secretKey, allow: [key.publicKey, other.publicKey] },
    });
    await clients.open("owner", "REQ", door.endpoint, withKeys(key, own, "mine"));
    assertEquals(await clients.request("owner", "a"), ["A"]);
    await clients.close("owner");
    await counted(door, { connections: 0 });
    // It is kept for its owner as long as answers are.
    await clients.open("thief", "REQ", door.endpoint, withKeys(other, own, "mine"));
    const answer = await clients.request("thief", "a");
    assertEquals(answer!.slice(0, 2), ["TANDEM-ERROR", "PERMISSION"]);
    await clients.close("thief");
    await clients.open("owner", "REQ", door.endpoint, withKeys(key, own, "mine"));
    assertEquals(await clients.request("owner", "b"), ["B"]);
    await clients.open("other", "REQ", door.endpoint, withKeys(other, own, "another"));
    assertEquals(await clients.request("other", "c"), ["C"]);
    await counted(door, { refused: 1, requests: 3 });
  },
  { skip },
);

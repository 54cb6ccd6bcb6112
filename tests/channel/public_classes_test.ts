/** The exported classes: only the package constructs them, and they show nothing but their contract. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  Call,
  ChannelHandle,
  Client,
  Draft,
  IntCall,
  IntClient,
  IntServer,
  IntServerRequest,
  Server,
  ServerRequest,
} from "../../mod.ts";
import { newTarget, present, test } from "../support/harness.ts";

/** Members of instances and of the class, without the ones that each class has. */
const members = new Map<object, readonly [instance: string, own: string]>([
  [
    ChannelHandle,
    [
      "adoptNotifyFd adoptPeerNotifyFd drainNotify fd maxDeliveries maxRequestBytes " +
      "maxResponseBytes notify notifyFd participants path slots stats Symbol.dispose",
      "",
    ],
  ],
  [
    Server,
    [
      "clear close fail receive receiveMany receiveManySync receiveSync reply serve serveSync " +
      "tryReceive tryReceiveMany unlink Symbol.asyncDispose Symbol.asyncIterator",
      "anonymous create fromFd open unlink",
    ],
  ],
  [
    IntServer,
    [
      "clear close fail receive receiveMany receiveManySync receiveSync reply serve serveSync " +
      "tryReceive tryReceiveMany unlink Symbol.asyncDispose Symbol.asyncIterator",
      "anonymous create fromFd open unlink",
    ],
  ],
  [
    Client,
    [
      "allocate cancel close pending post request requestSync send sendSync servers trySend",
      "connect fromFd open",
    ],
  ],
  [
    IntClient,
    [
      "cancel close pending post request requestSync send sendSync servers trySend",
      "connect fromFd open",
    ],
  ],
  [
    Call,
    ["cancel get getSync id ready readySync release tryGet view Symbol.dispose", ""],
  ],
  [IntCall, ["cancel get getSync id ready readySync release tryGet Symbol.dispose", ""]],
  [Draft, ["bytes discard post request requestSync send Symbol.dispose", ""]],
  [
    ServerRequest,
    [
      "allocate bytes cancelled copy deliveries fail id isText json oneWay peer reply signal text " +
      "timeRemaining",
      "",
    ],
  ],
  [
    IntServerRequest,
    ["cancelled deliveries fail id oneWay peer reply signal timeRemaining value", ""],
  ],
]);

function namesOf(object: object, without: readonly string[]): string {
  const names = Reflect.ownKeys(object).map((key) =>
    // Node had the symbols before the language.
    typeof key === "symbol" ? key.description!.replace("nodejs.", "Symbol.") : key
  );
  const rank = (name: string) => name.startsWith("Symbol.") ? `~${name}` : name;
  return names.filter((name) => !without.includes(name))
    .sort((a, b) => rank(a) < rank(b) ? -1 : 1).join(" ");
}

for (const [publicClass, [instance, own]] of members) {
  const { name, prototype } = publicClass as unknown as { name: string; prototype: object };

  test(`${name} has the members of its contract and no others`, () => {
    assertEquals(namesOf(prototype, ["constructor"]), instance);
    assertEquals(namesOf(publicClass, ["length", "name", "prototype"]), own);
  });

  test(`new ${name}() is a TypeError that says what to use`, () => {
    const construct = publicClass as unknown as new (...values: unknown[]) => object;
    for (const values of [[], [{}], [{ channel: { isOpen: true } }], [null, "server"]]) {
      assertThrows(() => new construct(...values), TypeError, `Cannot construct ${name}: use `);
    }
  });
}

test("what the package returns are instances of the exported classes, without properties", async () => {
  const target = newTarget();
  using server = Server.open(target, { slots: 4 });
  using client = await Client.connect(target);
  using draft = client.allocate(1);
  using sent = await client.send("x");
  using call = present(client.trySend("y"));
  const request = present(server.tryReceive());
  const objects: readonly [object, new (...values: never[]) => object][] = [
    [server, Server],
    [server, ChannelHandle as never],
    [client, Client],
    [client, ChannelHandle as never],
    [draft, Draft],
    [sent, Call],
    [call, Call],
    [request, ServerRequest],
    [present(await server.receive()), ServerRequest],
  ] as never;
  for (const [object, publicClass] of objects) {
    assertInstanceOf(object, publicClass);
    assertEquals(Reflect.ownKeys(object), []);
  }
});

test("integer channels return instances of their own classes, without properties", async () => {
  using server = IntServer.anonymous();
  using client = IntClient.fromFd(server.fd);
  using call = client.sendSync(1);
  const request = present(await server.receive());
  for (const object of [server, client, call, request]) {
    assertEquals(Reflect.ownKeys(object), []);
  }
  assert(call instanceof IntCall && request instanceof IntServerRequest);
  assert(!((call as object) instanceof Call) && !((server as object) instanceof Server));
});

/**
 * What nodes look like to the compilers. Nothing here is run: `deno check` and `tsc` are the test, and a type that is
 * too wide or too narrow fails them both.
 */
import type { Node, Port, PortId } from "../../src/node/main.ts";

/** True when both types are the same, and not only alike. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

function expectType<_T extends true>(): void {}

interface Counter {
  add(n: number): void;
  get(): number;
  find?(name: string, limit?: number): Promise<Map<string, number>>;
}

interface Other {
  say(text: string): void;
}

export function senders(node: Node, id: PortId<Counter>, text: string): void {
  node.send(id, "add", 1);
  node.send(id, "get");
  node.send(id, "find", "a");
  node.send(id, "find", "a", 2);
  // @ts-expect-error -- no such tag
  node.send(id, "sub", 1);
  // @ts-expect-error -- a wrong argument
  node.send(id, "add", "1");
  // @ts-expect-error -- an argument is missing
  node.send(id, "add");
  // @ts-expect-error -- one argument too many
  node.send(id, "get", 1);
  // @ts-expect-error -- it can never be sent
  node.send<{ set(key: symbol): void }>("a#b.1", "set", Symbol("a"));
  // Of any string, nothing is known.
  node.send(text, "sub", 1, [2]);
  node.send("a#b.1", 1);
  node.send<Counter>(text, "add", 1);
  // @ts-expect-error -- a wrong argument
  node.send<Counter>(text, "add", "1");
  node.after(10, id, "add", 1);
  // @ts-expect-error -- a wrong argument
  node.after(10, id, "add", "1");
  node.after(10, () => {});
}

export function callers(node: Node, id: PortId<Counter>, text: string): void {
  const counter = node.at(id, { timeout: 1_000 });
  expectType<Same<ReturnType<typeof counter.get>, Promise<number>>>();
  expectType<Same<ReturnType<typeof counter.find>, Promise<Map<string, number>>>>();
  void counter.add(1);
  // @ts-expect-error -- a wrong argument
  void counter.add("1");
  // @ts-expect-error -- no such method
  void counter.sub(1);
  void node.at(text).anything(1, "2");
}

export function ids(node: Node, id: PortId<Counter>, other: PortId<Other>): void {
  const text: string = id;
  const back: PortId<Counter> = text;
  const parsed: PortId<Counter> = JSON.parse(JSON.stringify({ id })).id;
  // @ts-expect-error -- the id of a port with another interface
  const wrong: PortId<Counter> = other;
  const any: PortId = other;
  void [back, parsed, wrong, any, node.nodeOf(id), node.isLocal(other)];
}

export async function receivers(node: Node): Promise<void> {
  const port = node.port<Counter>({ add() {}, get: () => 1 });
  expectType<Same<typeof port, Port<Counter>>>();
  expectType<Same<typeof port.id, PortId<Counter>>>();
  // @ts-expect-error -- a handler is missing
  node.port<Counter>({ add() {} });
  // @ts-expect-error -- a wrong handler
  node.port<Counter>({ add(_: string) {}, get: () => 1 });
  port.on("add", (n) => expectType<Same<typeof n, number>>());
  // @ts-expect-error -- a wrong handler
  port.on("add", (n: string) => n);
  // A tag that the interface does not have takes anything.
  port.on("resize", (replyTo: PortId, image, width) => void [replyTo, image, width]);
  const inferred = node.port({ double: (n: number) => 2 * n });
  expectType<Same<typeof inferred, Port<{ double: (n: number) => number }>>>();
  const received = await port.receive({ match: ([tag]) => tag === "add" });
  if (received !== null && received[0] === "add") {
    expectType<Same<(typeof received)[1], number>>();
  }
  const message = await node.port().receive();
  // deno-lint-ignore no-explicit-any -- nothing is known of it
  expectType<Same<typeof message, any[] | null>>();
  const sum: number | undefined = port.run((a: number, b: number) => a + b, 1, 2);
  const later: Promise<string | undefined> = port.run(() => Promise.resolve("a"));
  void [sum, later];
}

export function spawners(node: Node): void {
  node.offer("chat", (port: Port<Other>, room: string) => void [port, room]);
  const chat = node.spawn<Other>(node.id, "chat", "lobby");
  node.send(chat, "say", "hello");
  // @ts-expect-error -- a wrong argument
  node.send(chat, "say", 1);
  node.monitor(chat, (reason) => void [reason.kind, reason.error?.remoteName]);
  node.monitor(chat, { kill: chat });
  node.monitor(chat, { send: [chat, "down", 1] });
  // @ts-expect-error -- neither
  node.monitor(chat, { call: chat });
}

/** The frames in docs/internals/node-frames.md are those that two nodes exchange, byte by byte. */
import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/tools.ts";
import { frameText } from "../../src/node/frame_text.ts";
import { FrameLimits, giveEncoder, Kind, takeEncoder } from "../../src/node/frames.ts";
import type { Node } from "../../src/node/main.ts";
import { coreOf } from "../../src/node/node.ts";
import { doomed, eventually, test } from "../support/harness.ts";
import { MemoryNetwork } from "../support/memory_carrier.ts";
import { endOf } from "../support/node_pair.ts";

/** A frame in the document. */
interface Example {
  readonly hex: string;
  readonly text: string;
}

/** The blocks of the language `frame`: bytes with comments, and the text as the last line. */
function examples(): Example[] {
  const document = readFileSync(join(checkout, "docs/internals/node-frames.md"), "utf8");
  return [...document.matchAll(/^```frame\n(.*?)^```$/gms)].map(([, block]) => {
    const lines = block!.trimEnd().split("\n");
    const text = lines.pop()!;
    const hex = lines.map((line) => line.replace(/;.*/, "").trim()).join(" ");
    return { hex: repeated(hex), text };
  });
}

/** `00 × 3` is three bytes. */
function repeated(hex: string): string {
  return hex.replaceAll(
    /([0-9a-f]{2}) × (\d+)/g,
    (_, byte, count) => new Array(Number(count)).fill(byte).join(" "),
  );
}

/** The random part of the ids of a node's ports, in the document. */
const documentedStarts = { a: "h0kjb9q4", b: "q8d02hzz" } as const;

/** What two nodes send each other, in hex, with those random parts. */
async function conversation(): Promise<string[]> {
  const network = new MemoryNetwork();
  await using a = await network.start({ id: "a" });
  await using b = await network.start({ id: "b" });
  const frames: string[] = [];
  const starts = [[startOf(a), documentedStarts.a], [startOf(b), documentedStarts.b]] as const;
  const restores = [a, b].map((node) =>
    listen(node, (bytes) => {
      let hex = hexOf(bytes);
      for (const [start, documented] of starts) {
        hex = hex.replaceAll(hexOfText(start), hexOfText(documented));
      }
      frames.push(hex);
    })
  );
  await talk(a, b, (count) => eventually(() => frames.length === count, `${count} frames`));
  for (const restore of restores) restore();
  return frames;
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function hexOfText(text: string): string {
  return hexOf(new TextEncoder().encode(text));
}

async function talk(a: Node, b: Node, sent: (count: number) => Promise<void>): Promise<void> {
  const port = b.port({
    add(_: number) {},
    get: () => 5,
    fail() {
      const error = new RangeError("no more");
      error.stack = "RangeError: no more";
      throw error;
    },
    odd() {
      throw 7;
    },
    wait: () => new Promise<void>(() => {}),
  }, { concurrency: 2 });
  const remote = a.at(port.id);
  a.send(port.id, "add", 2);
  a.send(port.id, "add", new Uint8Array(1024) as unknown as number);
  await remote.get();
  await doomed(remote.fail()).catch(() => {});
  await doomed(remote.odd()).catch(() => {});
  await a.at("b#absent.1").get().catch(() => {});
  const control = new AbortController();
  const waiting = doomed(a.at(port.id, { signal: control.signal }).wait());
  await sent(11);
  control.abort();
  await waiting.catch(() => {});
  a.monitor(port.id, () => {})[Symbol.dispose]();
  await a.ready(port.id);
  a.spawn(b.id, "room", "the lobby");
  const end = endOf(a, port.id);
  a.kill(port.id, "not needed");
  await end;
}

function listen(node: Node, heard: (bytes: Uint8Array) => void): () => void {
  const { carrier } = coreOf(node).outbox;
  const send = carrier.send.bind(carrier);
  carrier.send = (to, bytes) => {
    heard(bytes);
    return send(to, bytes);
  };
  return () => carrier.send = send;
}

function startOf(node: Node): string {
  using port = node.port();
  return /#(.*)\./.exec(port.id)![1]!;
}

/** A probe has random parts. */
function probe(): string {
  const encoder = takeEncoder();
  try {
    encoder.open(new FrameLimits(1024), Kind.probe, 7);
    encoder.unsigned(5);
    encoder.text("a");
    encoder.unsigned(5);
    encoder.text("k2v90c1x");
    encoder.value(1796162400000);
    encoder.list("path", [`a#${documentedStarts.a}.1`]);
    return hexOf(encoder.bytesOf());
  } finally {
    giveEncoder(encoder);
  }
}

test("the examples of the encoding are what nodes send", async () => {
  const documented = examples();
  const sent = [...await conversation(), probe()];
  assertEquals(sent, documented.map(({ hex }) => hex));
  const texts = sent.map((hex) =>
    frameText(Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16)))
  );
  assertEquals(
    texts.map((text) => text.replace(/A{100,}/, "AAA…")),
    documented.map(({ text }) => text),
  );
  const kinds = new Set(documented.map(({ text }) => JSON.parse(text)[0]));
  assertEquals(kinds, new Set(Object.keys(Kind)));
});

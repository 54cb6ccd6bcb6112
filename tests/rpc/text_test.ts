/** Long strings: they travel beside the values, as byte arrays do, and count like those. */
import { assert, assertEquals } from "@std/assert";
import { connect, raw, serve } from "../../mod.ts";
import { textBlobBytesMin } from "../../src/codec/tags.ts";
import { Decoder } from "../../src/codec/decoder.ts";
import type { Blobs, BlobUse } from "../../src/codec/reader.ts";
import { readInPlace, readMessage } from "../../src/rpc/message.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { decode, encode, hooks, roundTrip } from "../support/codec_helper.ts";
import { assertRejectsCode, test } from "../support/harness.ts";
import type { Api } from "../fixtures/typed.ts";
import { sites, transports } from "../support/sites.ts";

/** What the values of a message cost, and how many byte strings follow them. */
function cost(value: unknown): [number, number] {
  const encoder = new Encoder();
  encoder.begin(hooks, 8);
  encoder.value(value);
  return [encoder.treeCost, encoder.blobs.length];
}

test("strings around the limit arrive unchanged, of any characters", () => {
  for (const text of ["a", "ä", "€", "😀", "a€", "\ufeffa", "\0"]) {
    const bytes = new TextEncoder().encode(text).byteLength;
    for (const length of [textBlobBytesMin - 7, textBlobBytesMin, textBlobBytesMin + 7, 2 ** 20]) {
      const long = text.repeat(Math.floor(length / bytes));
      assertEquals(roundTrip(long), long);
      const key = { [long]: [long, new Map([[long, long]])] };
      assertEquals(roundTrip(key), key);
      // Lone surrogates have no UTF-8.
      for (const lone of [`${long}\ud800`, `\udc00${long}`]) {
        assert(roundTrip(lone) === lone, "lone surrogates");
      }
    }
  }
});

test("a long string counts like a byte array", () => {
  const long = "x".repeat(2 ** 24);
  const [treeCost, blobs] = cost([long, long]);
  assert(treeCost < 100, String(treeCost));
  assertEquals(blobs, 2);
  // Shorter ones lie among the values, and count.
  assert(cost("x".repeat(textBlobBytesMin - 1))[0] >= textBlobBytesMin);
  assert(cost("x".repeat(textBlobBytesMin))[0] < 100);
  assert(cost("€".repeat(textBlobBytesMin / 3 | 0))[0] >= textBlobBytesMin - 3);
});

test("a long string that is not UTF-8 is CORRUPT", () => {
  const message = encode("x".repeat(textBlobBytesMin));
  message[message.byteLength - 1] = 0xff;
  try {
    decode(message);
  } catch (error) {
    assertEquals((error as { code: string }).code, "CORRUPT");
    return;
  }
  throw new Error("it was taken");
});

test("the runtime's decoder never reads what another process can write to", () => {
  const decoder = new Decoder();
  const encoder = new Encoder();
  encoder.begin(hooks, 0);
  encoder.value([new Uint8Array(2_000), "x".repeat(textBlobBytesMin), new Array(500).fill(0.5)]);
  const uses: BlobUse[] = [];
  const blobs: Blobs = {
    next: (byteLength, use) => {
      uses.push(use);
      return new Uint8Array(byteLength);
    },
  };
  const { written } = encoder;
  decoder.begin(hooks, written, 0, written.byteLength, blobs);
  decoder.value();
  assertEquals(uses, ["keep", "read natively", "read here"]);
  // And a message copies for it, also where byte arrays are seen in place.
  const message = encode(["x".repeat(textBlobBytesMin), new Uint8Array(2_000)]);
  readMessage(hooks, message, true, (reading) => {
    readInPlace(reading);
    assert(reading.blobs.next(textBlobBytesMin, "read natively").buffer !== message.buffer);
    assert(reading.blobs.next(2_000, "keep").buffer === message.buffer);
  }, undefined);
});

for (const site of sites) {
  test(`${site.title}: strings of many lengths, both ways`, async () => {
    const target = site.newTarget();
    await site.start("typed.ts", target, {});
    using remote = connect<Api>(target, { timeout: 60_000 });
    // More than maxTreeBytes; in parts; in one slot.
    for (const length of [20 * 2 ** 20, 2 ** 20, 2 ** 17, textBlobBytesMin, 1_000]) {
      const text = "0123456789abcdef".repeat(length / 16 | 0);
      const [found, mixed] = await remote.echo(text, `ä${text}`);
      assert(found === text, `${length} units`);
      assert(mixed === `ä${text}`, `${length} units`);
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: a raw method gets strings, too`, async () => {
    const target = transport.newTarget();
    const api = {
      lengths: raw((bytes: Uint8Array, text: string) => [
        bytes.byteLength,
        text.length,
        text.charCodeAt(text.length - 1),
      ]),
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    assertEquals(await remote.lengths(new Uint8Array(5_000), "ä".repeat(100_000)), [
      5_000,
      100_000,
      0xe4,
    ]);
    service.unlink();
  });
}

for (const transport of transports) {
  test(`${transport.title}: maxMessageBytes holds for long strings`, async () => {
    const target = transport.newTarget();
    const api = { length: (text: string) => text.length };
    await using service = serve(target, api, { maxMessageBytes: 2 ** 21 });
    using remote = connect<typeof api>(target, { timeout: 30_000, maxMessageBytes: 2 ** 21 });
    await assertRejectsCode(remote.length("x".repeat(2 ** 22)), "TOO_LARGE", "maxMessageBytes");
    assertEquals(await remote.length("x".repeat(2 ** 20)), 2 ** 20);
    service.unlink();
  });
}

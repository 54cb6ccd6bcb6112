/**
 * A process that passes on requests for peers of its own, and a typed service, which gets them with everything else that
 * is sent on the channel.
 *
 * @module
 */
import { callContext, type Peer, serve } from "../../../mod.ts";
import type { Origin } from "../../../src/base/peer.ts";
import { encodeNote } from "../../../src/channel/forwarding.ts";
import { PumpedClient } from "../../../src/channel/pumped_client.ts";
import { noteBytesMax } from "../../../src/ffi/layout.ts";
import { readAll } from "./clients.ts";
import { bytesOf, type Lane, type Step, timeoutOf, work } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { Random } from "./random.ts";

/** Where forwarded calls of calm rounds come from. */
export const calmAddress = "192.0.2.1";

/** Reads all that a note says of a caller. */
export function readPeer({ address = "", key = "" }: Partial<Peer>): void {
  const units = address.length + key.length;
  if (units > noteBytesMax) throw new Error(`a note of ${units} units: more than a request has`);
}

/** Passes requests on, as a ZeroMQ door does. */
export function forwarder(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, PumpedClient, (client) => {
    const failures: unknown[] = [];
    const reader = {
      read: (bytes: Uint8Array) => void readAll(bytes),
      fail: (error: unknown) => void failures.push(error),
    };
    const send = (): void => {
      const { bytes, payloadBytes } = forwarded(random);
      const noteBytes = bytes.byteLength - payloadBytes;
      client.tryForward(bytes, payloadBytes, noteBytes, timeoutOf(random) || NaN, reader);
    };
    const collect = (): void => {
      client.collect();
      const [failure] = failures.splice(0);
      if (failure !== undefined) throw failure;
    };
    return () =>
      random.pick<Step>([
        ["tryForward", 0, send],
        ["tryForward", 0, send],
        ["tryForward", 0, send],
        ["collect", 0, collect],
        ["collect", 1, () => pause(random.below(2)).then(collect)],
        ["lookAround", 0, () => client.lookAround(random.oneIn(2))],
        ["patience", 0, () => client.patience],
        ["drainNotify", 0, () => client.drainNotify()],
      ]);
  });
}

/** A payload with a note behind it, most of the time a right one. */
function forwarded(random: Random): { bytes: Uint8Array; payloadBytes: number } {
  const payload = bytesOf(random);
  const origin: Origin = {
    address: "x".repeat(random.pick([0, 9, 60, 1_024])),
    key: random.pick([undefined, "k".repeat(40)]),
    method: random.pick([undefined, "echo", "echo", "echo", "fail", "no such method"]),
  };
  const note = random.oneIn(8) ? new Uint8Array(random.below(4)) : encodeNote(origin);
  const bytes = new Uint8Array(payload.byteLength + note.byteLength);
  bytes.set(payload);
  bytes.set(note, payload.byteLength);
  return { bytes, payloadBytes: payload.byteLength };
}

/** A typed service that is opened and closed again and again. */
export async function typedService(
  { number, target, random, ledger, goesOn }: Lane,
): Promise<void> {
  const api = offered(number + 1, ledger);
  const step = <T>(what: string, timeout: number, body: () => T | Promise<T>) =>
    ledger.step(number, `service.${what}`, timeout, body);
  while (goesOn()) {
    const service = await step("serve", 0, () => serve(target, api));
    if (service) {
      await pause(random.below(200));
      await step("stats", 0, () => service.stats());
      await step("close", 20, () => service.close({ timeout: 20 }));
      await step("finished", 0, () => service.finished);
    }
    await pause(1);
  }
}

function offered(number: number, ledger: Ledger): Record<string, (bytes: unknown) => unknown> {
  return {
    async echo(bytes) {
      const { peer } = callContext()!;
      await ledger.step(number, "service.peer", 0, () => readPeer(peer));
      return bytes;
    },
    fail() {
      throw new Error("the method failed on purpose");
    },
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

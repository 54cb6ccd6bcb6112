/**
 * A process that works in channels while another process scribbles over them.
 *
 *     victim.ts JOURNAL FORM
 *
 * Commands on stdin, each answered by one line of JSON:
 *
 *     scribbled TARGET SEED KIND    works in that channel until TARGET.stop is there; answers its account. KIND is one
 *                                   of `kinds`
 *     calm TARGET COUNT             makes that many calls; all need the right answer; answers how many got it
 *
 * @module
 */
import { existsSync } from "node:fs";
import { Client } from "../../../mod.ts";
import { encodeNote } from "../../../src/channel/forwarding.ts";
import { PumpedClient } from "../../../src/channel/pumped_client.ts";
import { args, greet, readLineSync, tell } from "../../fixtures/lib.ts";
import { promiseClient, syncClient } from "./clients.ts";
import { calmAddress, forwarder, typedService } from "./forwarders.ts";
import { intClient, intServer } from "./ints.ts";
import { Journal } from "./journal.ts";
import type { Lane } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import { Random } from "./random.ts";
import { promiseServer, syncServer } from "./servers.ts";

type Work = (lane: Lane) => Promise<void>;
/** What the channel of a round is used for. */
export type Kind = "bytes" | "int" | "notes";

/** The work of a process's lanes. Each lane that blocks the thread has its own process. */
const bytesForms: Readonly<Record<string, readonly Work[]>> = {
  "sync-client": [syncClient],
  "sync-server": [syncServer],
  "promises": [promiseClient, promiseServer, promiseClient, promiseServer],
};
const intForms: Readonly<Record<string, readonly Work[]>> = {
  "sync-client": [intClient],
  "sync-server": [intServer],
  "promises": [intClient, intServer],
};
/** For requests that are passed on. Fewer other servers, which would take most requests. */
const notesForms: Readonly<Record<string, readonly Work[]>> = {
  "sync-client": [forwarder, forwarder],
  "sync-server": [syncServer],
  "promises": [forwarder, typedService],
};
const kinds: Readonly<Record<Kind, typeof bytesForms>> = {
  bytes: bytesForms,
  int: intForms,
  notes: notesForms,
};

const [journalPath, form] = args as [string, string];
const journal = new Journal(journalPath);
greet();
for (let line = readLineSync(); line !== null; line = readLineSync()) {
  const [command, target, number, kind] = line.split(" ") as [string, string, string, Kind];
  if (command === "scribbled") tell(await suffer(target, Number(number), kinds[kind][form]!));
  else tell(await callCalmly(target, Number(number)));
}

async function suffer(
  target: string,
  seed: number,
  lanes: readonly Work[],
): Promise<Ledger["account"]> {
  const ledger = new Ledger(journal);
  const goesOn = () => !existsSync(`${target}.stop`);
  await Promise.all(lanes.map((work, number) => {
    const random = new Random(seed + number);
    return work({ number, target, random, ledger, goesOn });
  }));
  return ledger.account;
}

async function callCalmly(target: string, count: number): Promise<number> {
  using client = Client.open(target);
  const passing = PumpedClient.open(target);
  let answered = 0;
  for (let index = 0; index < count; index++) {
    const payload = new Uint8Array(index * 50).fill(index);
    journal.begin(0, "calm");
    const answer = index % 4 === 0
      ? await passOn(passing, payload)
      : index % 2 === 0
      ? await client.request(payload, { timeout: 60_000 })
      : client.requestSync(payload, { timeout: 60_000 });
    journal.end(0);
    const isSame = answer.byteLength === payload.byteLength &&
      answer.every((byte, place) => byte === payload[place]);
    if (isSame) answered += 1;
  }
  passing.close();
  return answered;
}

/** A call for a peer of this process. */
async function passOn(client: PumpedClient, payload: Uint8Array): Promise<Uint8Array> {
  const note = encodeNote({ address: calmAddress, key: undefined, method: undefined });
  const bytes = new Uint8Array([...payload, ...note]);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const reader = { read: (answer: Uint8Array) => resolve(answer.slice()), fail: reject };
  const isSent = client.tryForward(bytes, payload.byteLength, note.byteLength, 60_000, reader);
  if (!isSent) throw new Error("no slot is free in a calm channel");
  while (client.outstanding > 0) {
    client.collect();
    client.lookAround(true);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return await promise;
}

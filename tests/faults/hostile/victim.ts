/**
 * A process that works in channels while another process scribbles over them.
 *
 *     victim.ts JOURNAL FORM
 *
 * Commands on stdin, each answered by one line of JSON:
 *
 *     scribbled TARGET SEED KIND    works in that channel until TARGET.stop is there; answers its account
 *     calm TARGET COUNT             makes that many calls; all need the right answer; answers how many got it
 *
 * @module
 */
import { existsSync } from "node:fs";
import { Client } from "../../../mod.ts";
import { args, greet, readLineSync, tell } from "../../fixtures/lib.ts";
import { promiseClient, syncClient } from "./clients.ts";
import { intClient, intServer } from "./ints.ts";
import { Journal } from "./journal.ts";
import type { Lane } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import { Random } from "./random.ts";
import { promiseServer, syncServer } from "./servers.ts";

type Work = (lane: Lane) => Promise<void>;

/** The work of a process's lanes. Each lane that blocks the thread has its own process. */
const forms: Readonly<Record<string, readonly Work[]>> = {
  "sync-client": [syncClient],
  "sync-server": [syncServer],
  "promises": [promiseClient, promiseServer, promiseClient, promiseServer],
};
const intForms: Readonly<Record<string, readonly Work[]>> = {
  "sync-client": [intClient],
  "sync-server": [intServer],
  "promises": [intClient, intServer],
};

const [journalPath, form] = args as [string, string];
const journal = new Journal(journalPath);
greet();
for (let line = readLineSync(); line !== null; line = readLineSync()) {
  const [command, target, number, kind] = line.split(" ") as [string, string, string, string?];
  if (command === "scribbled") tell(await suffer(target, Number(number), kind === "int"));
  else tell(await callCalmly(target, Number(number)));
}

async function suffer(target: string, seed: number, isInt: boolean): Promise<Ledger["account"]> {
  const ledger = new Ledger(journal);
  const goesOn = () => !existsSync(`${target}.stop`);
  const lanes = (isInt ? intForms : forms)[form]!;
  await Promise.all(lanes.map((work, number) => {
    const random = new Random(seed + number);
    return work({ number, target, random, ledger, goesOn });
  }));
  return ledger.account;
}

async function callCalmly(target: string, count: number): Promise<number> {
  using client = Client.open(target);
  let answered = 0;
  for (let index = 0; index < count; index++) {
    const payload = new Uint8Array(index * 50).fill(index);
    journal.begin(0, "calm");
    const answer = index % 2 === 0
      ? await client.request(payload, { timeout: 60_000 })
      : client.requestSync(payload, { timeout: 60_000 });
    journal.end(0);
    const isSame = answer.byteLength === payload.byteLength &&
      answer.every((byte, place) => byte === payload[place]);
    if (isSame) answered += 1;
  }
  return answered;
}

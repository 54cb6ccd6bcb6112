/**
 * Calls both channels, and a Worker and a child process of its own runtime, slice by slice, so that changes
 * of the machine affect all of them.
 *
 * @module
 */
import process from "node:process";
import { Client, connect, withOptions } from "../../mod.ts";
import { report } from "../lib/child.ts";
import type { Slices } from "../typed.ts";
import type { Api } from "./api.ts";
import { connectIpc, connectWorker } from "./contenders.ts";

const [raw = "", typed = "", around = "", count = "", sliceMs = ""] = process.argv.slice(2);
const ms = Number(sliceMs);
const outstanding = 64;
const callsPerLook = 8;
using client = Client.open(raw);
using remote = connect<Api>(typed);
const withMetadata = withOptions(remote, { metadata: { tenant: "a" } });
using aroundHere = connect<Api>(typed, { around: async (_, next) => await next() });
using aroundThere = connect<Api>(around);
const worker = connectWorker();
const ipc = connectIpc();
const { add } = remote;

/** Adds two numbers elsewhere. */
type Add = (a: number, b: number) => Promise<number>;

const addRaw: Add = async (a, b) => {
  const payload = new Uint8Array(12);
  const view = new DataView(payload.buffer);
  view.setUint32(0, a);
  view.setUint32(4, b);
  const answer = await client.request(payload);
  return new DataView(answer.buffer, answer.byteOffset, answer.byteLength).getUint32(0);
};

const slices: Slices = {
  raw: [],
  typed: [],
  metadata: [],
  clientAround: [],
  serviceAround: [],

  raw64: [],
  typed64: [],
  worker64: [],
  ipc64: [],
};
// The first rounds are for the compilers and do not count.
for (let slice = -3; slice < Number(count); slice++) {
  const results = {
    raw: await run(addRaw, 1),
    typed: await run(add, 1),
    metadata: await run(withMetadata.add, 1),
    clientAround: await run(aroundHere.add, 1),
    serviceAround: await run(aroundThere.add, 1),
    raw64: await run(addRaw, outstanding),
    typed64: await run(add, outstanding),
    worker64: await run(worker, outstanding),
    ipc64: ipc ? await run(ipc, outstanding) : NaN,
  };
  if (slice < 0) continue;
  for (const [name, result] of Object.entries(results)) {
    if (!Number.isNaN(result)) slices[name as keyof Slices].push(result);
  }
}
report(slices);
process.exit();

/** Calls a second. */
async function run(add: Add, lanes: number): Promise<number> {
  const begin = performance.now();
  const end = begin + ms;
  let calls = 0;
  const lane = async () => {
    while (performance.now() < end) {
      // Reading the clock takes a tenth of a short call.
      for (let call = 0; call < callsPerLook; call++) {
        const a = calls++;
        if (await add(a, 2) !== a + 2) throw new Error("wrong sum");
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return calls / (performance.now() - begin) * 1e3;
}

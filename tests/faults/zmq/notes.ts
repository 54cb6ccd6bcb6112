/**
 * A process passes on requests with notes that no door writes: any length, any bytes, any method. Servers and services
 * answer each with a result or an error, in each runtime, and live on.
 *
 * @module
 */
import { PumpedClient } from "../../../src/channel/pumped_client.ts";
import { check, codeOf, pause, Tally } from "../pool/stage.ts";
import { programCommand, type Runtime, runtimes, Talker } from "../talker.ts";
import { watch, type ZmqStage } from "./stage.ts";

const encoder = new TextEncoder();
const methods = [
  "",
  "echo",
  "echo",
  "echo",
  "fail",
  "toString",
  "__proto__",
  "constructor",
  "then",
  "\0",
  "é€😀",
];
const lengths = [0, 1, 2, 3, 90, 1_023, 1_024, 1_025, 2_000];

export async function notes(stage: ZmqStage): Promise<string> {
  const calls = stage.size(100_000, 3_000);
  const summaries: string[] = [];
  for (const runtime of runtimes) {
    for (const form of ["service", "server"] as const) {
      const tally = await passOn(stage, runtime, form, calls);
      summaries.push(`${form} of ${runtime}: ${tally}`);
    }
  }
  return `${calls} notes for each: ${summaries.join("; ")}`;
}

async function passOn(
  stage: ZmqStage,
  runtime: Runtime,
  form: string,
  calls: number,
): Promise<Tally> {
  const program = programCommand(runtime, "tests/faults/zmq/noted.ts");
  const server = stage.own(new Talker(`${runtime} ${form}`, [...program, stage.target, form]));
  await server.line(watch("a greeting"));
  await server.line(watch("a server"));
  const client = PumpedClient.open(stage.target);
  const tally = new Tally();
  let ended = 0;
  const reader = {
    read: () => void (ended += 1, tally.add("answers")),
    fail: (error: unknown) => void (ended += 1, tally.add(codeOf(error))),
  };
  try {
    for (let sent = 0; sent < calls;) {
      const request = hostileRequest(stage);
      if (client.tryForward(request, request.byteLength, 0, NaN, reader)) sent += 1;
      else await pause(1);
      client.collect();
    }
    const waiting = watch("the end of each call");
    while (ended < calls) {
      client.collect();
      client.lookAround(true);
      waiting();
      await pause(1);
    }
    check(tally.of("SERVER_DIED") === 0, `the ${form} of ${runtime} has died: ${server.end}`);
  } finally {
    client.close();
  }
  server.send("stop");
  check(await server.line(watch("the end of a server")) === "stopped", "the server goes on");
  await server.closed;
  return tally;
}

/** Ends with a note, most of the time a wrong one. */
function hostileRequest({ random }: ZmqStage): Uint8Array {
  const length = random.pick(lengths);
  const text = random.chance(0.5)
    ? encoder.encode(
      ["address", "key", random.pick(methods)].slice(0, random.pick([0, 1, 2, 3, 3, 3])).join("\n"),
    )
    : Uint8Array.from({ length }, () => random.between(0, 255));
  const announced = random.chance(0.5) ? text.byteLength : random.pick([...lengths, 65_535]);
  const request = new Uint8Array(random.between(0, 20) + text.byteLength + 2);
  request.set(text, request.byteLength - 2 - text.byteLength);
  request[request.byteLength - 2] = announced & 255;
  request[request.byteLength - 1] = announced >> 8;
  // Some are too short for any note.
  return random.chance(0.1) ? request.slice(0, random.between(0, 3)) : request;
}

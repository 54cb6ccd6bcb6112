/**
 * A client that goes on while others die. It reads commands from stdin, one JSON value a line,
 * and answers each with one.
 *
 * @module
 */
import {
  type Call,
  type ChannelOptions,
  Client,
  type Draft,
  type SendOptions,
  TandemError,
} from "../../../mod.ts";
import { greet, onLine, tell, told } from "../../fixtures/lib.ts";

/** A command. */
export interface ClientCommand {
  /**
   * - `open`, `close`
   * - `start`: sends a request whose end `outcome` asks for later; writes its id as soon as it
   *   is sent, or at once if it `waits` for a slot or is `blocking`
   * - `cancel`: of a request that was started
   * - `post`: sends one that is not answered
   * - `check`: requests of several sizes in several forms; writes how many were answered correctly
   * - `slots`: takes all free slots, writes how many there were and gives them back
   */
  readonly op:
    | "open"
    | "close"
    | "start"
    | "cancel"
    | "outcome"
    | "post"
    | "check"
    | "slots";
  readonly target?: string;
  readonly options?: ChannelOptions;
  readonly key?: string;
  /** Bytes of a pattern, or a text. */
  readonly payload?: number | string;
  readonly send?: SendOptions;
  readonly waits?: boolean;
  readonly blocking?: boolean;
}

/** How a request ended: with the right answer, another one, or an error. */
export type Outcome = "answered" | "wrong" | string;

const sizes = [12, 5000];

let client: Client | undefined;
const calls = new Map<string, Call>();
const outcomes = new Map<string, Promise<Outcome>>();

function opened(): Client {
  if (!client) throw new Error("no channel is open");
  return client;
}

function payloadOf(payload: number | string): Uint8Array<ArrayBuffer> | string {
  if (typeof payload === "string") return payload;
  return Uint8Array.from({ length: payload }, (_, index) => index * 31 + 7);
}

function judge(payload: number | string, answer: Uint8Array): Outcome {
  const sent = payloadOf(payload);
  const wanted = typeof sent === "string" ? new TextEncoder().encode(sent) : sent;
  const isRight = wanted.length === answer.length &&
    wanted.every((byte, index) => byte === answer[index]);
  return isRight ? "answered" : "wrong";
}

function failed(error: unknown): Outcome {
  return error instanceof TandemError ? error.code : String(error);
}

async function start(command: ClientCommand): Promise<void> {
  const { key = "", payload = 0, send = {}, waits = false, blocking = false } = command;
  if (blocking) {
    tell({});
    const outcome = block(payload, send);
    outcomes.set(key, Promise.resolve(outcome));
    return;
  }
  const sent = opened().send(payloadOf(payload), send);
  outcomes.set(
    key,
    sent.then((call) => call.get()).then((answer) => judge(payload, answer), failed),
  );
  if (waits) return tell({});
  const call = await sent;
  calls.set(key, call);
  tell({ id: String(call.id) });
}

function block(payload: number | string, send: SendOptions): Outcome {
  try {
    return judge(payload, opened().requestSync(payloadOf(payload), send));
  } catch (error) {
    return failed(error);
  }
}

async function check(): Promise<number> {
  let right = 0;
  for (const size of sizes) {
    if (judge(size, await opened().request(payloadOf(size))) === "answered") right += 1;
    if (judge(size, opened().requestSync(payloadOf(size))) === "answered") right += 1;
  }
  return right;
}

function takeAll(): number {
  const drafts: Draft[] = [];
  try {
    for (;;) drafts.push(opened().allocate(12));
  } catch (error) {
    if (failed(error) !== "BUSY") throw error;
  }
  for (const draft of drafts) draft.discard();
  return drafts.length;
}

async function obey(command: ClientCommand): Promise<void> {
  const { op, target = "", options = {}, key = "", payload = 0 } = command;
  switch (op) {
    case "open":
      client = Client.open(target, { create: options });
      return tell({});
    case "close":
      opened().close();
      client = undefined;
      calls.clear();
      outcomes.clear();
      return tell({});
    case "start":
      return await start(command);
    case "cancel":
      return tell(calls.get(key)?.cancel() ?? false);
    case "outcome": {
      const outcome = await outcomes.get(key);
      outcomes.delete(key);
      calls.delete(key);
      return tell(outcome ?? "never started");
    }
    case "post":
      return tell(opened().post(payloadOf(payload)));
    case "check":
      return tell(await check());
    case "slots":
      return tell(takeAll());
  }
}

greet();
onLine((line) => {
  obey(JSON.parse(line)).catch((error) => tell({ error: told(error) }));
});

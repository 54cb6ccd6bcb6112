/**
 * What `tandem node send` and `tandem node call` do.
 *
 * @module
 */
import { type PortId, type Reason, TandemError } from "@tandem/ipc/node";
import { now } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { textOf } from "../values.ts";
import { addressed, findPort, timeLeft } from "./address.ts";
import type { PortFlags } from "./flags.ts";
import { joinGroup } from "./guest.ts";
import { reasonText } from "./reason_text.ts";

/** Sends a message, and waits until the port has it. */
export async function sendMessage(
  this: Context,
  flags: PortFlags,
  ...words: readonly string[]
): Promise<void> {
  const target = addressed(flags, words);
  const [tag, values] = await messageIn(this, target.rest, "a tag, such as add");
  const began = now();
  await using node = await joinGroup(this, flags);
  const port = await findPort(node, target, flags);
  let end: Reason | null = null;
  using _watch = node.monitor(port, (reason) => end = reason);
  node.send(port, tag, ...values);
  try {
    // The answer comes behind the message: so the message has come.
    await node.ready(port, { timeout: timeLeft(flags.timeout, began) });
  } catch (error) {
    throw end === null ? error : notSent(port, end);
  }
}

function notSent(port: PortId, reason: Reason): TandemError {
  const error = new TandemError(
    "PORT_DIED",
    `Cannot send to ${port}: the port has ended (${
      reasonText(reason)
    }); see \`tandem node ls\` and ` +
      "`tandem node registry`",
  );
  error.reason = reason;
  return error;
}

/** Calls a method, and writes its result. */
export async function callMethod(
  this: Context,
  flags: PortFlags,
  ...words: readonly string[]
): Promise<void> {
  const target = addressed(flags, words);
  const [method, values] = await messageIn(this, target.rest, "a method, such as get");
  const began = now();
  await using node = await joinGroup(this, flags);
  const port = await findPort(node, target, flags);
  const remote = node.at(port, { timeout: timeLeft(flags.timeout, began) });
  const called = remote[method];
  if (typeof called !== "function") {
    throw new RangeError(
      `Cannot call ${JSON.stringify(method)}: no port can have a method of that name; give another`,
    );
  }
  await this.write(textOf(await called(...values)));
}

async function messageIn(
  context: Context,
  [tag, ...texts]: readonly string[],
  missing: string,
): Promise<[tag: string, values: unknown[]]> {
  if (tag === undefined) {
    throw new TypeError(`Cannot send an empty message: give ${missing}, behind the port`);
  }
  const values: unknown[] = [];
  for (const text of texts) {
    const isInput = text === "-";
    values.push(valueIn(isInput ? new TextDecoder().decode(await context.readInput()) : text));
  }
  return [tag, values];
}

function valueIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError(
      `Cannot read the value ${JSON.stringify(text)} as JSON: ${(error as Error).message}; ` +
        `give each value as JSON, such as 2, '"a"' or '{"width":3}'`,
    );
  }
}

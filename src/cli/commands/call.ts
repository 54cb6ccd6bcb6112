/**
 * `tandem call`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { Client, connect } from "@tandem/ipc";
import { now } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { argumentsIn, textOf } from "../values.ts";
import { optionalText, parseCount, parseDuration, targetParameter } from "./parameters.ts";

interface Flags {
  readonly timeout: number;
  readonly retries: number;
}

// deno-lint-ignore no-explicit-any -- any values can be arguments
type Remote = Record<string, (...values: any[]) => unknown>;

export const call: Command<Context> = buildCommand<
  Flags,
  [string, string | undefined, string | undefined],
  Context
>({
  docs: {
    brief: "Call a method of a service, or send a request to a raw channel",
    customUsage: [
      "TARGET METHOD [PAYLOAD|-] [--timeout DURATION] [--retries N]",
      "TARGET [-] [--timeout DURATION]",
    ],
    fullDescription:
      "With METHOD, PAYLOAD is JSON: an array is the list of the arguments, any other value is the " +
      "one argument, and nothing means no arguments. The result is written as JSON, each item of a " +
      "stream on a line, and bytes as they are.\n\n" +
      "Without METHOD, standard input is the request, and its answer is written as it is.\n\n" +
      "A payload of - is standard input. Durations are seconds, or have a unit: 500ms, 5s, 2m.",
  },
  parameters: {
    flags: {
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        default: "30s",
        placeholder: "duration",
        brief: "How long the call may take, with the wait for a service; or infinity",
      },
      retries: {
        kind: "parsed",
        parse: parseCount,
        default: "0",
        placeholder: "n",
        brief: "How often a call that failed is tried again, if it may run twice",
      },
    },
    positional: {
      kind: "tuple",
      parameters: [
        targetParameter,
        optionalText("method", "Method of the service; -, or nothing: the channel is a raw one"),
        optionalText("payload", "Arguments as JSON, or - for standard input"),
      ],
    },
  },
  async func({ timeout, retries }, target, method, payload) {
    if (method === undefined || method === "-") {
      return await callRaw(this, target, timeout, method === undefined);
    }
    const text = payload === "-" ? new TextDecoder().decode(await this.readInput()) : payload ?? "";
    const values = argumentsIn(text);
    using remote = connect<Remote>(target, {
      timeout,
      idempotent: retries > 0,
      retry: { attempts: retries + 1 },
    });
    const called = remote[method];
    if (typeof called !== "function") {
      throw new RangeError(
        `Cannot call ${JSON.stringify(method)}: no service can offer a method of that name; ` +
          "give another one",
      );
    }
    await writeResult(this, await called(...values));
  },
});

async function callRaw(
  context: Context,
  target: string,
  timeout: number,
  isOptional: boolean,
): Promise<void> {
  const request = await context.readInput(isOptional);
  const began = now();
  using client = await Client.connect(target, { timeout });
  const left = Math.max(timeout - (now() - began), 0);
  await context.write(await client.request(request, { timeout: left }));
}

async function writeResult(context: Context, result: unknown): Promise<void> {
  const isStream = typeof result === "object" && result !== null && Symbol.asyncIterator in result;
  if (!isStream) return await context.write(textOf(result));
  for await (const item of result as AsyncIterable<unknown>) await context.write(textOf(item));
}

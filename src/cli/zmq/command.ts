/**
 * What `tandem zmq` does.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { TandemError } from "@tandem/ipc";
import { type ZmqCurve, ZmqDoor, zmqRequestSync } from "@tandem/ipc/zmq";
import type { Context } from "../context.ts";
import { CommandFailure, ExitCode } from "../exit_codes.ts";
import { given } from "../given.ts";
import { messageOf } from "../messages.ts";
import { ServiceManager } from "../service_manager.ts";
import { EndingSignals } from "../signals.ts";
import type { CallFlags, DoorFlags } from "./flags.ts";

/** Runs a door until a signal ends it. */
export async function runDoor(this: Context, flags: DoorFlags): Promise<void> {
  const { backend, secretKeyFile, allow, ...rest } = flags;
  if (backend !== undefined) {
    throw new TypeError(
      "Cannot use --backend: workers of other programs are not supported; " +
        "run yours as a pool (tandem pool WORKER --target NAME), and give --target NAME here",
    );
  }
  const door = new ZmqDoor(given({ ...rest, title: true, curve: curveOf(secretKeyFile, allow) }));
  // A signal that comes before the door is open closes it in order, too.
  using manager = new ServiceManager(process.env);
  using _signals = new EndingSignals((isAgain) => {
    manager.tell({ STOPPING: 1 });
    void door.close(isAgain ? { timeout: 0 } : {});
  });
  door.ready.then(() => {
    manager.tell({ READY: 1 });
    this.process.stderr.write(`tandem: listens on ${door.endpoint} for ${flags.target}\n`);
  }, () => {}); // `finished` rejects, too
  try {
    await door.finished;
  } catch (error) {
    throw isBadEndpoint(error)
      ? new CommandFailure(messageOf(error), ExitCode.usage, { cause: error })
      : error;
  }
}

/** Whether no socket can ever listen there on this machine. */
function isBadEndpoint(error: unknown): boolean {
  return error instanceof TandemError && error.message.startsWith("Cannot listen on") &&
    (error.code === "NOT_FOUND" || error.code === "UNSUPPORTED");
}

/** Sends one request, as often as it takes. */
export async function callServer(
  this: Context,
  flags: CallFlags,
  payload: string | undefined,
): Promise<void> {
  const { endpoint, serverKey, secretKeyFile, ...rest } = flags;
  if ((serverKey === undefined) !== (secretKeyFile === undefined)) {
    throw new TypeError("Cannot use only one key: give both --server-key and --secret-key-file");
  }
  const curve = serverKey === undefined || secretKeyFile === undefined
    ? undefined
    : { serverKey, secretKey: readKey(secretKeyFile) };
  const isInput = payload === undefined || payload === "-";
  const request = isInput ? withoutNewline(await this.readInput()) : payload;
  const onRetry = (attempt: number): void =>
    this.process.stderr.write(`tandem: no answer to attempt ${attempt}, asks again\n`);
  const answer = zmqRequestSync(endpoint, request, given({ ...rest, curve, onRetry }));
  if (answer === null) {
    throw new CommandFailure(
      `no answer from ${endpoint} after ${flags.attempts} attempts: the server seems to be offline; abandoning`,
      ExitCode.failed,
    );
  }
  const [first, code, message] = answer.map((frame) => new TextDecoder().decode(frame));
  if (answer.length === 3 && first === "TANDEM-ERROR") {
    throw new CommandFailure(`${message} (${code})`, ExitCode.failed);
  }
  for (const frame of answer) await this.write(frame);
}

function curveOf(
  secretKeyFile: string | undefined,
  allow: readonly string[] | undefined,
): ZmqCurve | undefined {
  if (secretKeyFile !== undefined) return given({ secretKey: readKey(secretKeyFile), allow });
  if (allow === undefined) return undefined;
  throw new TypeError("Cannot use --allow without encryption: give --secret-key-file, too");
}

/** A key must not be on the command line, which all users see. */
function readKey(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new TypeError(`Cannot read ${file}: ${(error as Error).message}; give another file`);
  }
}

function withoutNewline(input: Uint8Array): Uint8Array {
  return input.at(-1) === 0x0a ? input.subarray(0, -1) : input;
}

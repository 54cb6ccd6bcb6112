/** Logs of sessions of attached pools, while readers and supervisors come and go. */
import { assert, assertEquals } from "@std/assert";
import { connect, withOptions } from "../../mod.ts";
import { Listeners } from "../../src/base/listeners.ts";
import { AttachedCore } from "../../src/pool/clients/attached_core.ts";
import { AttachedLogs } from "../../src/pool/clients/attached_logs.ts";
import { checkOut } from "../../src/pool/session/check_out.ts";
import { LogTap } from "../../src/pool/session/log_tap.ts";
import type { SessionHome } from "../../src/pool/session/session_home.ts";
import type { SessionListener } from "../../src/pool/session/session_logs.ts";
import { controlTarget } from "../../src/pool/supervisor/pool_channel.ts";
import type { PoolTap } from "../../src/pool/supervisor/pool_logs.ts";
import {
  type ControlledPool,
  type PoolControl,
  serveControl,
} from "../../src/pool/supervisor/public_control.ts";
import type { LogRecord } from "../../src/pool/types.ts";
import type { ServiceCore } from "../../src/rpc/service_core.ts";
import type { Api } from "../fixtures/pool/session.ts";
import { atEnd, eventually, longEnough, newTarget, test } from "../support/harness.ts";
import { sessionPool } from "../support/session_pool.ts";

class Taps extends Listeners<PoolTap> {
  /** How often anyone has begun to listen. */
  readers = 0;

  override add(listen: (tap: PoolTap) => unknown): Disposable {
    this.readers += 1;
    return super.add(listen);
  }
}

/** A supervisor that does nothing but tell of logs. */
class Teller {
  readonly taps: Taps = new Taps("logs");
  readonly #service: ServiceCore;

  constructor(target: string) {
    this.#service = serveControl(target, { taps: this.taps } as unknown as ControlledPool);
    atEnd(() => this.close());
  }

  tell(...taps: readonly PoolTap[]): void {
    for (const tap of taps) this.taps.tell(tap);
  }

  async close(): Promise<void> {
    await this.#service.close({ timeout: 0 });
  }
}

/** Listens to a session. */
class Ear implements SessionListener {
  readonly messages: string[] = [];
  isOver = false;
  onOver: () => void = () => {};

  record({ message }: LogRecord): void {
    this.messages.push(message);
  }

  over(): void {
    this.isOver = true;
    this.onOver();
  }
}

function logsOf(target: string): AttachedLogs {
  const control = connect<PoolControl>(controlTarget(target), { timeout: 60_000 });
  const logs = new AttachedLogs((signal) =>
    withOptions(control, { signal, whenAbsent: "fail", inheritDeadline: false }).logs()
  );
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => {
    logs.close();
    control[Symbol.dispose]();
  });
  return logs;
}

function told(message: string, session: string): PoolTap {
  return { record: { message } as LogRecord, session };
}

test("a session begins when the last one has just ended: it hears its logs until its own end", async () => {
  const target = newTarget();
  const teller = new Teller(target);
  const logs = logsOf(target);
  const stop = await logs.onSession("first", new Ear());
  stop();
  const ear = new Ear();
  await logs.onSession("second", ear);
  teller.tell({ held: 1, session: "second" }, told("one", "second"));
  await eventually(() => ear.messages.length > 0, "a record comes");
  assert(!ear.isOver);
  teller.tell(told("two", "second"), { held: 1, session: null }, told("three", "other"));
  await eventually(() => ear.isOver, "the session ends");
  assertEquals(ear.messages, ["one", "two"]);
});

test("a session begins when the supervisor has just gone: it waits until it hears the next one", async () => {
  const target = newTarget();
  const first = new Teller(target);
  const logs = logsOf(target);
  const before = new Ear();
  await logs.onSession("before", before);
  const next = new Teller(target);
  const ear = new Ear();
  const begun = Promise.withResolvers<void>();
  before.onOver = () => logs.onSession("after", ear).then(() => begun.resolve(), begun.reject);
  await first.close();
  await begun.promise;
  assert(!next.taps.isEmpty, "the session goes on before it hears anything");
  next.tell({ held: 1, session: "after" }, { held: 1, session: null });
  await eventually(() => ear.isOver, "the session ends");
});

test("there is no supervisor: nobody goes on listening for a session", async () => {
  let isHeard = true;
  const home: Pick<SessionHome, "onSessionLog"> = {
    // deno-lint-ignore require-await -- as of an attached pool
    async onSessionLog(_session, listener) {
      listener.over();
      return () => void (isHeard = false);
    },
  };
  const tap = await LogTap.open(home as SessionHome, "alone", () => {});
  await tap.ended;
  assert(!isHeard);
});

test("who listens to a pool that was detached hears nothing, and reads nothing", async () => {
  const target = newTarget();
  const teller = new Teller(target);
  const logs = logsOf(target);
  logs.close();
  using _listening = logs.add(() => {});
  await logs.onSession("late", new Ear());
  // The next reader is the first one.
  await logsOf(target).onSession("other", new Ear());
  assertEquals(teller.taps.readers, 1);
});

/** An attached pool that is told nothing of its sessions. */
class Deaf extends AttachedCore<Api> {
  override onSessionLog(): Promise<() => void> {
    return Promise.resolve(() => {});
  }
}

function deaf(target: string, timeout: number): Deaf {
  const home = new Deaf(target, timeout, {});
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => home.close());
  return home;
}

const onLog = (): void => {};

test("nobody tells that the last record has come: the session closes within its timeout", async () => {
  const target = newTarget();
  await sessionPool(1, { target });
  await longEnough(500, async (timeout) => {
    try {
      const session = await checkOut<Api>(deaf(target, timeout), { onLog });
      await session.close();
      return true;
    } catch {
      // There was no time for the checkout.
      return false;
    }
  });
});

test("nobody tells that the last record has come: the session's signal ends the wait", async () => {
  const target = newTarget();
  const pool = await sessionPool(1, { target });
  const leaving = new AbortController();
  const { signal } = leaving;
  const session = await checkOut<Api>(deaf(target, Infinity), { onLog, signal });
  const closing = session.close();
  // Another one gets the worker when the session has given it back.
  await using _other = await pool.checkout();
  leaving.abort();
  await closing;
});

/**
 * The record of a worker as its supervisor sees it: the calls in progress, in memory that both share. Native
 * code (native/worker/) writes it in the worker. Whatever the worker does to it, reading it is safe.
 *
 * @module
 */
import { checkWhole } from "../../base/checks.ts";
import { idOf } from "../../channel/channel.ts";
import { openFailure } from "../../channel/failure.ts";
import {
  controlBytes,
  EntryField,
  entryFields,
  EntryState,
  RecordField,
  recordFields,
  slotsMax,
} from "../../ffi/layout.ts";
import { native } from "../../ffi/load.ts";
import { wallClock } from "../../runtime/timers.ts";

/** Why a worker is killed for a call: nobody waits for the call any more, or it has taken too long. */
export type CondemnedReason = "timeout" | "hung";

/** A call that a worker has in progress. */
export interface RunningCall {
  /** Its entry and its sequence there, for {@linkcode WorkerRecord.condemn}. */
  readonly entry: number;
  readonly sequence: number;
  /** The worker's number for the method. */
  readonly method: number;
  /** When the handler began, in milliseconds since the epoch. */
  readonly since: number;
  /** The id of the call on the channel that it came through. */
  readonly id: bigint;
  /** Why its worker is killed for it; null: it is not. */
  readonly condemned: CondemnedReason | null;
}

/** What a record says at one moment. Also after its worker has died. */
export interface RecordContent {
  /** The calls that have ended. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly failures: number;
  /** The call for which the worker is, or was, killed; null: none. */
  readonly ended: { readonly reason: CondemnedReason; readonly id: bigint } | null;
  readonly running: readonly RunningCall[];
}

const reasons: Readonly<Record<number, CondemnedReason>> = {
  [EntryState.timedOut]: "timeout",
  [EntryState.hung]: "hung",
};

/** The record of one worker. */
export class WorkerRecord implements Disposable {
  readonly #address: number;
  readonly #numbers: Float64Array;
  /** The descriptor that the worker inherits. It is closed with the record. */
  readonly fd: number;
  #isOpen = true;

  private constructor(address: number, concurrency: number) {
    this.#address = address;
    this.#numbers = new Float64Array(recordFields + concurrency * entryFields);
    this.fd = native().tandem_record_fd(address);
  }

  /**
   * @param concurrency how many calls the worker handles at once
   * @throws {TandemError} `NO_SPACE` when there is no memory for it
   */
  static create(concurrency: number): WorkerRecord {
    checkWhole(concurrency, "concurrency", 1, slotsMax);
    const buffer = new ArrayBuffer(controlBytes);
    const control = { words: new Uint32Array(buffer), numbers: new Float64Array(buffer) };
    const address = native().tandem_record_create(concurrency, control.words);
    if (address < 0) throw openFailure(address, "make the record of a worker", control);
    return new WorkerRecord(address, concurrency);
  }

  /** What the record says now; of a closed record, what it said at last. */
  read(): RecordContent {
    const numbers = this.#numbers;
    if (this.#isOpen) {
      const count = native().tandem_record_read(this.#address, numbers, numbers.length);
      numbers.fill(0, recordFields + count * entryFields);
    }
    const running = runningCalls(numbers, wallClock());
    const condemned = running.find((call) => call.condemned !== null);
    return {
      calls: numbers[RecordField.calls]!,
      failures: numbers[RecordField.failures]!,
      ended: condemned ? { reason: condemned.condemned!, id: condemned.id } : null,
      running,
    };
  }

  /**
   * Decides that the worker is killed for a call. Then nobody else kills it for one, and it takes no further
   * call in this entry.
   *
   * @returns true: the caller kills the process now; false: the call has ended, or the decision was made before
   */
  condemn(entry: number, sequence: number, reason: CondemnedReason): boolean {
    if (!this.#isOpen) return false;
    const state = reason === "hung" ? EntryState.hung : EntryState.timedOut;
    return native().tandem_record_condemn(this.#address, entry, sequence, state) === 1;
  }

  /** Calling it twice is fine. */
  close(): void {
    if (!this.#isOpen) return;
    this.read();
    this.#isOpen = false;
    native().tandem_record_close(this.#address);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function runningCalls(numbers: Float64Array, now: number): RunningCall[] {
  const running: RunningCall[] = [];
  for (let start = recordFields; start < numbers.length; start += entryFields) {
    const of = (field: number) => numbers[start + field]!;
    if (of(EntryField.state) === EntryState.free) break;
    running.push({
      entry: of(EntryField.entry),
      sequence: of(EntryField.sequence),
      method: of(EntryField.method),
      since: now - of(EntryField.age),
      id: idOf(of(EntryField.slot), of(EntryField.generationLow), of(EntryField.generationHigh)),
      condemned: reasons[of(EntryField.state)] ?? null,
    });
  }
  return running;
}

/**
 * Keeps as many workers as a pool needs: starts, replaces, and stops them.
 *
 * @module
 */
import type { ClientCore } from "../../channel/client_core.ts";
import { QueueWatch } from "../../channel/queue_watch.ts";
import { TandemError } from "../../errors.ts";
import { keepAlive, later, laterForSure, now, timerMax, wallClock } from "../../runtime/timers.ts";
import type { RuntimeName } from "../../runtime/names.ts";
import { Backoff } from "./backoff.ts";
import { type Assignment, type Report, reservedNames } from "../link/control.ts";
import { ExitHistory } from "./exit_history.ts";
import { Listeners } from "../../base/listeners.ts";
import { PoolLogs } from "./pool_logs.ts";
import { residentBytes } from "./proc.ts";
import type { RecordContent } from "../link/record.ts";
import { Refusals } from "./refusals.ts";
import { scalingStep } from "./scaling.ts";
import { startError } from "./start_error.ts";
import type { PoolSize, PoolTerms } from "./terms.ts";
import type { WorkerEvent, WorkerExit, WorkerInfo } from "../types.ts";
import { type WorkerListener, type WorkerPlan, WorkerProcess } from "./worker_process.ts";

/** How often the supervisor looks at a pool that has something to do, in milliseconds. */
const lookEvery = 20;
/** How long it goes on looking after the last call. */
const lookFor = 1_000;
/** How often it looks at the memory of workers. */
const memoryEvery = 500;
/** A guard kills its worker when a call is hung. The supervisor does if the guard is stopped, too. */
const hungGrace = 1_000;
/** Below this, in milliseconds, workers need not know how long calls take. */
const paceMin = 1;

/** The part of a plan that all workers of a pool share. */
export type CommonPlan =
  & Omit<WorkerPlan, "runtime" | "flags" | "bootstrap" | "assignment">
  & { bootstrap(runtime: RuntimeName): string | null };

/** A start that someone waits for. */
interface Awaited {
  resolve(): void;
  reject(reason: unknown): void;
}

/** What the supervisor remembers of a worker between two looks. */
interface Seen {
  calls: number;
  failures: number;
}

export class Supervisor implements WorkerListener {
  readonly exits: ExitHistory = new ExitHistory((id) =>
    this.workers.some((worker) => worker.content().running.some((call) => call.id === id))
  );
  readonly logs: PoolLogs;
  readonly events: Listeners<WorkerEvent> = new Listeners("onWorker");
  readonly #terms: PoolTerms;
  readonly #plan: CommonPlan;
  readonly #channel: ClientCore;
  readonly #path: string | null;
  readonly #workers: Map<number, WorkerProcess> = new Map();
  readonly #awaited: Map<WorkerProcess, Awaited> = new Map();
  /** The successors of workers that are to be replaced, as far as they have been started. */
  readonly #successors: Map<WorkerProcess, WorkerProcess> = new Map();
  readonly #seen: WeakMap<WorkerProcess, Seen> = new WeakMap();
  readonly #backoff: Backoff = new Backoff();
  #size: PoolSize;
  #refusals: Refusals | null = null;
  #isStopping = false;
  #cancelLook: (() => void) | null = null;
  /** The next look is not further away than {@linkcode lookEvery}. */
  #looksSoon = false;
  /** Something has happened since the last look. */
  #isStirred = false;
  #cancelRetry: (() => void) | null = null;
  /** For the time when there is no worker that could report a call; null: there was no such time yet. */
  #queueWatch: QueueWatch | null = null;
  /** A call has come while there was no worker. */
  #isCalled = false;
  #lookUntil = 0;
  #wasQueued = false;
  #lastStartAt = 0;
  #lastLookAt = 0;
  #lastMemoryLookAt = 0;
  /** How long a successful call takes on average, in milliseconds. */
  #pace = 0;
  #onChange: (() => void)[] = [];
  #methods: readonly string[] = [];

  constructor(terms: PoolTerms, plan: CommonPlan, channel: ClientCore, path: string | null) {
    this.#terms = terms;
    this.#plan = plan;
    this.#channel = channel;
    this.#path = path;
    this.#size = { min: terms.min, max: terms.max };
    this.logs = new PoolLogs(terms.name);
  }

  /** The methods of the workers; none: no worker was ready yet. */
  get methods(): readonly string[] {
    return this.#methods;
  }

  get size(): PoolSize {
    return this.#size;
  }

  set size(size: PoolSize) {
    this.#size = size;
    this.#look();
  }

  /** Starts the first workers. */
  start(): void {
    this.#look();
  }

  /** Workers that have not ended. */
  get workers(): WorkerProcess[] {
    return [...this.#workers.values()];
  }

  infos(): WorkerInfo[] {
    return this.workers.map((worker) => worker.info());
  }

  get readyCount(): number {
    return this.workers.filter((worker) => worker.isReady && !worker.isLeaving).length;
  }

  /** Resolves when `isSo` is true; it is asked again after each event of a worker. */
  async when(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#onChange.push(resolve));
  }

  /** Asks the waits of {@linkcode when} again. */
  wake(): void {
    this.#changed();
  }

  #changed(): void {
    const waiting = this.#onChange;
    this.#onChange = [];
    for (const resolve of waiting) resolve();
  }

  /** A call was made, or has begun: the supervisor looks at the pool for a while. */
  stir(): void {
    this.#isStirred = true;
    if (!this.#looksSoon && !this.#isStopping) this.#lookIn(lookEvery / 4);
  }

  #lookIn(milliseconds: number): void {
    this.#cancelLook?.();
    this.#looksSoon = milliseconds <= lookEvery;
    this.#cancelLook = later(Math.min(milliseconds, timerMax), () => this.#lookAgain());
  }

  #lookAgain(): void {
    this.#cancelLook = null;
    this.#looksSoon = false;
    this.#look();
  }

  /** Starts and stops workers as the pool needs it, and looks again if that may change. */
  #look(): void {
    if (this.#isStopping || !this.#channel.channel.isOpen) return;
    const time = now();
    const wall = wallClock();
    const contents = new Map(this.workers.map((worker) => [worker, worker.content()]));
    this.#lookAtCalls(contents, time);
    let busy = 0;
    let starting = 0;
    const idle: WorkerProcess[] = [];
    for (const [worker, content] of contents) {
      if (content.running.length > 0 || worker.session !== null) worker.wasBusy();
      this.#endHung(worker, content, wall);
      // Its successor takes its place.
      if (worker.isLeaving || this.#successors.has(worker)) continue;
      if (worker.isStarting) starting += 1;
      else if (worker.isIdle(content)) idle.push(worker);
      else busy += 1;
    }
    const queued = this.#channel.stats().queued;
    const { minSpare, maxSpare, concurrency, idleTimeout, minTtl } = this.#terms;
    const { min, max } = this.#size;
    const step = scalingStep({
      min: this.#isCalled ? Math.max(1, min) : min,
      max,
      minSpare,
      maxSpare,
      concurrency,
      queued,
      wasQueued: this.#wasQueued,
      starting,
      busy,
      idle: idle.map(({ idleSince }) => wall - idleSince),
      sinceStart: time - this.#lastStartAt,
      idleTimeout,
      minTtl,
    });
    this.#wasQueued = queued > 0;
    this.#isCalled = false;
    for (const index of step.stop) this.#endGently(idle[index]!);
    this.#startMany(step.start);
    this.#replaceOld(contents, time);
    this.#watchQueue();
    this.#lookLater(busy > 0 || queued > 0 || starting > 0, idle.length, time);
  }

  /** While no worker takes calls, and none is about to start, a call has to ring the supervisor itself. */
  #watchQueue(): void {
    const isAlone = this.workers.every(({ isLeaving }) => isLeaving);
    if (!isAlone || this.#cancelRetry) return this.#queueWatch?.stop();
    try {
      this.#queueWatch ??= new QueueWatch(this.#channel.fd);
    } catch {
      // There is no descriptor for it now.
      return this.#lookIn(lookFor);
    }
    this.#queueWatch.start(() => {
      this.#isCalled = true;
      this.#lookIn(0);
    });
  }

  #lookLater(isBusy: boolean, idle: number, time: number): void {
    if (this.#isStirred) this.#lookUntil = time + lookFor;
    this.#isStirred = false;
    if (this.#looksSoon) return;
    const { minSpare, idleTimeout, minTtl } = this.#terms;
    let pause = Infinity;
    if (isBusy || time < this.#lookUntil) pause = lookEvery;
    else if (this.#workers.size > this.#size.min && idle > minSpare) {
      const times = this.workers.map(({ idleSince }) => idleSince + idleTimeout - wallClock());
      pause = Math.max(lookEvery, Math.min(...times), minTtl - (time - this.#lastStartAt));
    }
    if (pause !== Infinity) this.#lookIn(pause);
  }

  /** Whether calls have ended, and how long they take: from the time that workers were busy with them. */
  #lookAtCalls(contents: Map<WorkerProcess, RecordContent>, time: number): void {
    const passed = time - this.#lastLookAt;
    this.#lastLookAt = time;
    const failing: WorkerProcess[] = [];
    for (const [worker, { calls, failures, running }] of contents) {
      const seen = this.#seen.get(worker) ?? { calls: 0, failures: 0 };
      this.#seen.set(worker, { calls, failures });
      const ended = calls - seen.calls;
      // Calls that follow one another so soon that their worker reports none.
      if (ended > 0) this.#isStirred = true;
      if (failures > seen.failures) failing.push(worker);
      else if (ended > 0 && passed < 10 * lookEvery) {
        const busyTime = running.length > 0 ? passed : passed / 2;
        const each = busyTime / ended;
        this.#pace = this.#pace === 0 ? each : 0.9 * this.#pace + 0.1 * each;
      }
    }
    if (this.#pace < paceMin) return;
    for (const worker of failing) worker.order({ kind: "pace", milliseconds: this.#pace });
  }

  #endHung(worker: WorkerProcess, { running }: RecordContent, wall: number): void {
    const limit = this.#terms.hungTimeout + hungGrace;
    for (const { entry, sequence, since } of running) {
      if (wall - since > limit) worker.killFor(entry, sequence, "hung");
    }
  }

  #replaceOld(contents: Map<WorkerProcess, RecordContent>, time: number): void {
    const { maxLifetime, maxMemoryBytes } = this.#terms;
    const looksAtMemory = maxMemoryBytes !== Infinity &&
      time - this.#lastMemoryLookAt >= memoryEvery;
    if (looksAtMemory) this.#lastMemoryLookAt = time;
    for (const worker of contents.keys()) {
      if (!worker.isReady || worker.isLeaving) continue;
      const isOld = time - worker.startedAt >= maxLifetime;
      const isLarge = looksAtMemory && residentBytes(worker.pid) > maxMemoryBytes;
      if (isOld || isLarge || worker.isOverdue) this.#replace(worker);
    }
  }

  /** Starts `count` workers, unless starts have failed lately. */
  #startMany(count: number): void {
    if (count <= 0) return;
    if (this.#backoff.remaining(now()) > 0) return this.#retryLater();
    // One at a time while it is not known whether any can start.
    const most = this.#backoff.failures > 0 ? 1 - this.#startingCount : count;
    try {
      for (let started = 0; started < Math.min(count, most); started++) this.#startOne();
    } catch {
      // It is tried again, as after a start that fails later.
    }
  }

  /** The next attempt after starts that have failed. */
  #retryLater(): void {
    this.#cancelRetry ??= later(this.#backoff.remaining(now()), () => {
      this.#cancelRetry = null;
      if (this.#backoff.remaining(now()) > 0) return this.#retryLater();
      // With `min: 0` it is a call that starts the next worker: it has to wait in the queue.
      this.#endRefusals();
      this.#look();
    });
  }

  #endRefusals(): void {
    this.#refusals?.close();
    this.#refusals = null;
  }

  get #startingCount(): number {
    return this.workers.filter((worker) => worker.isStarting).length;
  }

  /** Throws the reason why there is not even a process; then it is noted already. */
  #startOne(): WorkerProcess {
    this.#endRefusals();
    const worker = this.#newProcess();
    this.#workers.set(worker.number, worker);
    this.events.tell({ kind: "starting", worker: worker.info() });
    // A busy machine may take long to start a process.
    this.#lastStartAt = now();
    const { startTimeout } = this.#terms;
    if (startTimeout !== Infinity) {
      const cancel = later(Math.min(startTimeout, timerMax), () => {
        if (worker.isStarting) worker.kill();
      });
      void this.when(() => !worker.isStarting).then(cancel);
    }
    // A pool that starts is something that a program waits for.
    const release = keepAlive();
    void this.when(() => !worker.isStarting).then(release);
    return worker;
  }

  #newProcess(): WorkerProcess {
    try {
      const runtime = this.#nextRuntime();
      const { bootstrap, ...common } = this.#plan;
      return new WorkerProcess({
        ...common,
        bootstrap: bootstrap(runtime),
        runtime,
        flags: this.#terms.flags(runtime),
        assignment: this.#assignment(),
      }, this);
    } catch (error) {
      // No descriptor is left, or no memory.
      this.#hasFailed(error);
      throw error;
    }
  }

  /** The runtime of which there are the fewest workers. */
  #nextRuntime(): RuntimeName {
    const { runtimes } = this.#terms;
    const count = (name: RuntimeName) =>
      this.workers.filter((worker) => worker.runtime === name && !worker.isLeaving).length /
      runtimes.filter((other) => other === name).length;
    return [...runtimes].sort((a, b) => count(a) - count(b))[0]!;
  }

  #assignment(): Assignment {
    const terms = this.#terms;
    const finite = (value: number) => value === Infinity ? null : value;
    return {
      number: this.#freeNumber(),
      pool: terms.name,
      path: this.#path,
      concurrency: terms.concurrency,
      abortGrace: terms.abortGrace,
      hungTimeout: finite(terms.hungTimeout),
      maxCalls: finite(terms.maxCalls),
      idempotent: terms.idempotent,
      afterError: terms.afterError,
    };
  }

  #freeNumber(): number {
    let number = 1;
    while (this.#workers.has(number)) number += 1;
    return number;
  }

  /** Starts the successor of a worker, and waits until it is ready. Rejects with the reason why it could not start. */
  async #startSuccessor(old: WorkerProcess): Promise<void> {
    const successor = this.#startOne();
    this.#successors.set(old, successor);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#awaited.set(successor, { resolve, reject });
      });
    } finally {
      this.#successors.delete(old);
    }
  }

  /** Retires a worker when its successor is ready. */
  #replace(old: WorkerProcess): void {
    // One that retires has had its successor: its report that it is spent may come later.
    if (old.isLeaving || this.#successors.has(old) || this.#isStopping) return;
    if (this.#backoff.remaining(now()) > 0) return this.#goOn(old);
    this.#startSuccessor(old).then(() => this.#endGently(old), () => this.#goOn(old));
  }

  /** A worker that was to be replaced goes on, because no other can start. It is replaced later. */
  #goOn(worker: WorkerProcess): void {
    if (!worker.isSpent || worker.isLeaving || worker.session !== null) return;
    // Code of a session may have left it in any state.
    if (this.#mustEnd.has(worker)) return this.#endGently(worker);
    worker.goOn();
  }

  readonly #mustEnd: WeakSet<WorkerProcess> = new WeakSet();

  #endGently(worker: WorkerProcess): void {
    if (worker.exit) return;
    worker.retire();
    void this.#endInTime(worker, this.#terms.stopTimeout);
  }

  /** Waits for a worker that retires, and kills it when the time is over. */
  async #endInTime(worker: WorkerProcess, timeout: number): Promise<void> {
    const cancel = timeout === Infinity
      ? () => {}
      : later(Math.min(timeout, timerMax), () => worker.kill());
    await this.when(() => worker.exit !== null);
    cancel();
  }

  reported(worker: WorkerProcess, report: Report): void {
    switch (report.kind) {
      case "ready":
        this.#ready(worker);
        break;
      case "failed":
        this.#failed(worker, report.failure.error);
        break;
      case "log":
        this.logs.add(worker.number, report.records);
        break;
      case "held":
        this.logs.held(worker.number, report.session);
        this.stir();
        break;
      case "stirred":
        this.stir();
        break;
      case "aging":
        this.#replace(worker);
        break;
      case "spent":
        if (report.reason !== "calls") this.#mustEnd.add(worker);
        // It takes no call before its successor is there, unless none can start.
        this.#replace(worker);
        this.stir();
        break;
      case "uncaught":
        break;
    }
  }

  wrote(worker: WorkerProcess, stream: "stdout" | "stderr", line: string): void {
    this.logs.wrote(worker.number, stream, line);
  }

  #ready(worker: WorkerProcess): void {
    this.#backoff.succeeded();
    this.#methods = worker.methods.filter((name) => !reservedNames.has(name));
    this.events.tell({ kind: "ready", worker: worker.info() });
    this.#settleStart(worker)?.resolve();
    this.#scheduleLifetime(worker);
    this.#changed();
    this.stir();
  }

  #scheduleLifetime(worker: WorkerProcess): void {
    const { maxLifetime } = this.#terms;
    if (maxLifetime === Infinity) return;
    const left = Math.max(0, worker.startedAt + maxLifetime - now());
    const cancel = later(Math.min(left, timerMax), () => this.#replace(worker));
    void this.when(() => worker.exit !== null).then(cancel);
  }

  #settleStart(worker: WorkerProcess): Awaited | undefined {
    const awaited = this.#awaited.get(worker);
    this.#awaited.delete(worker);
    return awaited;
  }

  /** The worker has said why it cannot start. It ends by itself. */
  #failed(worker: WorkerProcess, error: unknown): void {
    this.#startFailures.set(worker, { error });
  }

  readonly #startFailures: WeakMap<WorkerProcess, { readonly error: unknown }> = new WeakMap();

  exited(worker: WorkerProcess, exit: WorkerExit): void {
    if (this.#workers.get(worker.number) === worker) this.#workers.delete(worker.number);
    this.exits.add(exit, worker.content());
    this.logs.held(worker.number, null);
    this.events.tell({ kind: "exited", worker: worker.info(), exit });
    try {
      if (!worker.isReady && !this.#isStopping) this.#startFailed(worker, exit);
      this.#forgetSuccessorOf(worker);
    } finally {
      // Others wait for this end, whatever follows from it.
      this.#changed();
    }
    this.#look();
    this.stir();
  }

  /** A worker that has gone needs no further step when its successor is there. */
  #forgetSuccessorOf(worker: WorkerProcess): void {
    const successor = this.#successors.get(worker);
    this.#successors.delete(worker);
    if (successor) this.#settleStart(successor)?.resolve();
  }

  #startFailed(worker: WorkerProcess, exit: WorkerExit): void {
    const said = this.#startFailures.get(worker);
    const isLate = worker.isLeaving && !said;
    const why = isLate ? ` (startTimeout is ${this.#terms.startTimeout} ms)` : "";
    const reason = said ? said.error : startError(exit, why);
    this.#settleStart(worker)?.reject(reason);
    this.#hasFailed(reason);
  }

  /** A start has failed; there is another attempt after a pause. */
  #hasFailed(reason: unknown): void {
    this.#backoff.failed(now());
    this.#lastFailure = reason;
    this.#retryLater();
    const others = this.workers.filter((other) => !other.isLeaving);
    if (others.length > 0) return;
    try {
      // All callers that wait get the reason, and so do others until the next attempt.
      this.#refusals ??= new Refusals(this.#channel.fd, reason);
    } catch {
      // What a worker lacks may be missing here, too. They wait for the next attempt.
    }
  }

  #lastFailure: unknown;

  /** Why the last worker could not start. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Replaces all workers, one after another. */
  async restart(): Promise<void> {
    const release = keepAlive();
    try {
      for (const old of this.workers) {
        // Someone waits for the start of such a worker.
        await this.when(() => !old.isStarting);
        // Who has a successor ends anyway; the successor is one of these workers.
        if (old.exit || old.isLeaving || this.#successors.has(old)) continue;
        await this.#startSuccessor(old);
        if (this.#isStopping) throw closed("restart");
        if (old.exit) continue;
        old.retire();
        await this.#endInTime(old, this.#terms.stopTimeout);
      }
    } finally {
      release();
    }
  }

  /** Takes no more part: starts no worker, and looks no more. */
  #halt(): void {
    this.#isStopping = true;
    this.#cancelLook?.();
    this.#cancelRetry?.();
    this.#queueWatch?.close();
    this.#endRefusals();
    for (const { reject } of this.#awaited.values()) reject(closed("start a worker"));
    this.#awaited.clear();
  }

  /** Kills the workers that are left after `timeout` milliseconds. @returns what prevents that */
  killIn(timeout: number): () => void {
    const kill = () => {
      for (const worker of this.workers) worker.kill();
    };
    if (timeout === Infinity) return () => {};
    if (timeout > 0) return laterForSure(Math.min(timeout, timerMax), kill);
    kill();
    return () => {};
  }

  /** Ends all workers; those that still have calls after `timeout` milliseconds are killed. */
  async stop(timeout: number): Promise<void> {
    this.#halt();
    const release = keepAlive();
    for (const worker of this.workers) {
      if (worker.isStarting) worker.kill();
      else worker.retire();
    }
    const cancel = this.killIn(timeout);
    await this.when(() => this.#workers.size === 0);
    cancel();
    release();
    this.logs.end();
    this.exits.end();
  }
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}: the pool is closed`);
}

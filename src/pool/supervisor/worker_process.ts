/**
 * One worker of a pool, as its supervisor sees it: starts the process, and follows it to its end.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import type { Stream } from "node:stream";
import { textOf } from "../../base/guard.ts";
import { later, now, queueMicrotask, setImmediate, wallClock } from "../../runtime/timers.ts";
import {
  killGroup,
  runtimeCommand,
  type RuntimeName,
  startProcess,
} from "../../runtime/processes.ts";
import {
  type Assignment,
  descriptors,
  type Order,
  preloadFlags,
  type Report,
} from "../link/control.ts";
import { exitOf } from "./exits.ts";
import { killTree } from "../link/guard.ts";
import { LastLines, Lines } from "./lines.ts";
import { Inbox, Outbox } from "../link/post.ts";
import { shareWith } from "./identity.ts";
import { allMemoryKills, memoryEvents, memoryKills, residentBytes } from "./proc.ts";
import { type CondemnedReason, type RecordContent, WorkerRecord } from "../link/record.ts";
import type { WorkerExit, WorkerInfo, WorkerState } from "../types.ts";

/** How to start a worker. */
export interface WorkerPlan {
  readonly runtime: RuntimeName;
  readonly file: string | URL;
  /** The address of bootstrap.ts for the runtime; null: there is no such file, the worker file does its work. */
  readonly bootstrap: string | null;
  readonly args: readonly string[];
  readonly flags: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** The descriptor of the pool's channel, if it has no name. */
  readonly channelFd: number | null;
  readonly assignment: Assignment;
}

/** What a supervisor hears of a worker. */
export interface WorkerListener {
  reported(worker: WorkerProcess, report: Report): void;
  /** It has written a line itself, as native code and crashes do. */
  wrote(worker: WorkerProcess, stream: "stdout" | "stderr", line: string): void;
  exited(worker: WorkerProcess, exit: WorkerExit): void;
}

/** How long after the end of a process its last words are waited for: its children may hold its pipes. */
const lastWordsTimeout = 200;

export class WorkerProcess {
  readonly number: number;
  readonly runtime: RuntimeName;
  readonly pid: number;
  /** In the time of `performance.now()`. */
  readonly startedAt: number;
  /** It has said that it takes calls. */
  isReady = false;
  /** It has been told to end, or will be. */
  isLeaving = false;
  /** It takes no more calls by itself: see the report `spent`. */
  isSpent = false;
  /** It has been spent, and is replaced as soon as another worker can start. */
  isOverdue = false;
  /** The session that holds it; null: none does. */
  session: string | null = null;
  readonly #record: WorkerRecord;
  readonly #orders: Outbox<Order>;
  readonly #reports: Inbox<Report>;
  readonly #listener: WorkerListener;
  readonly #child: ChildProcess | null;
  readonly #lastWords: LastLines = new LastLines();
  readonly #memoryEvents: string;
  readonly #killsBefore: number;
  readonly #allKillsBefore: number;
  #methods: readonly string[] = [];
  #wasUncaught = false;
  #exit: WorkerExit | null = null;
  #idleSince: number;
  #callsSeen = 0;
  #last: WorkerInfo | null = null;

  /** @throws {TandemError} when what it shares with its supervisor cannot be made; if only its process cannot start, it exits */
  constructor(plan: WorkerPlan, listener: WorkerListener) {
    const { runtime, assignment } = plan;
    this.number = assignment.number;
    this.runtime = runtime;
    this.#listener = listener;
    this.startedAt = now();
    this.#idleSince = wallClock();
    const opened: { close(): void }[] = [];
    const opening = <T extends { close(): void }>(made: T): T => {
      opened.push(made);
      return made;
    };
    try {
      this.#record = opening(WorkerRecord.create(assignment.concurrency));
      this.#orders = opening(Outbox.create<Order>("tandem-orders"));
      // It obeys no order any more.
      this.#orders.onLost = () => this.kill();
      this.#reports = opening(Inbox.create<Report>("tandem-reports"));
      this.#orders.post({ kind: "begin", assignment });
      this.#reports.listen((report) => this.#take(report));
      let failure: unknown;
      this.#child = this.#start(plan, (error) => failure = error);
      // After the supervisor knows this object.
      if (!this.#child) queueMicrotask(() => this.#notStarted(failure));
    } catch (error) {
      for (const part of opened) part.close();
      throw error;
    }
    this.pid = this.#child?.pid ?? 0;
    this.#memoryEvents = memoryEvents(this.pid);
    this.#killsBefore = memoryKills(this.#memoryEvents);
    this.#allKillsBefore = allMemoryKills();
  }

  #start(plan: WorkerPlan, failed: (error: unknown) => void): ChildProcess | null {
    const { runtime, file, bootstrap, args, flags, env, cwd, uid, gid, channelFd, assignment } =
      plan;
    const isolated = flags ?? (runtime === "deno" ? ["--allow-all"] : []);
    const runtimeArgs = bootstrap === null
      ? isolated
      : [...isolated, ...preloadFlags(runtime, bootstrap)];
    const inherited: number[] = [];
    inherited[descriptors.reports] = this.#reports.fd;
    inherited[descriptors.orders] = this.#orders.fd;
    inherited[descriptors.record] = this.#record.fd;
    if (channelFd !== null) inherited[descriptors.channel] = channelFd;
    if (gid !== undefined) {
      shareWith(this.#reports.fd, gid);
      shareWith(this.#orders.fd, gid);
    }
    try {
      const child = startProcess(runtimeCommand(runtime, file, { args, runtimeArgs }), {
        argv0: `tandem ${assignment.pool} worker ${this.number}`,
        env,
        ...(cwd !== undefined && { cwd }),
        ...(uid !== undefined && { uid }),
        ...(gid !== undefined && { gid }),
        stdio: ["pipe", "pipe", "pipe", ...inherited.slice(3)],
        // A group of its own: Ctrl-C reaches only the supervisor, and one signal reaches all that it starts.
        isDetached: true,
      });
      child.on("error", (error) => {
        if (child.pid === undefined) this.#notStarted(error);
      });
      child.on("exit", (code, signal) => this.#ended(child, code, signal));
      // A pool keeps its process alive as long as calls are pending, and no longer.
      child.unref();
      this.#follow(child.stdout, "stdout");
      this.#follow(child.stderr, "stderr");
      unref(child.stdin);
      child.stdin?.on("error", () => {});
      return child;
    } catch (error) {
      failed(error);
      return null;
    }
  }

  #follow(pipe: ChildProcess["stdout"], stream: "stdout" | "stderr"): void {
    if (!pipe) return;
    const lines = new Lines((line) => {
      if (stream === "stderr") this.#lastWords.add(line);
      this.#listener.wrote(this, stream, line);
    });
    pipe.on("data", (bytes: Uint8Array) => lines.add(bytes));
    pipe.on("end", () => lines.end());
    pipe.on("error", () => {});
    unref(pipe);
  }

  #take(report: Report): void {
    if (this.#exit) return;
    if (report.kind === "ready") {
      this.#methods = report.methods;
      this.isReady = true;
      this.#idleSince = wallClock();
    } else if (report.kind === "uncaught") this.#wasUncaught = true;
    else if (report.kind === "spent") this.isSpent = this.isOverdue = true;
    else if (report.kind === "held") this.session = report.session;
    this.#listener.reported(this, report);
  }

  /** The process could not be started. */
  #notStarted(error: unknown): void {
    this.#lastWords.add(textOf(error));
    this.#finish(127, null);
  }

  #ended(child: ChildProcess, code: number | null, signal: string | null): void {
    // What it has started belongs to it. The group's id stays its own as long as one of them lives.
    if (this.pid !== 0) killGroup(this.pid);
    let isOver = false;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      cancel();
      this.#finish(code, signal);
    };
    // If this process has stood still for so long, its loop reads the pipes in this turn.
    const cancel = later(lastWordsTimeout, () => void setImmediate(finish));
    // All that it has written has arrived.
    child.on("close", finish);
  }

  #finish(code: number | null, signal: string | null): void {
    if (this.#exit) return;
    // Reports outlive their sender.
    for (let report = this.#reports.take(); report; report = this.#reports.take()) {
      this.#take(report);
    }
    this.#last = this.info();
    const { ended } = this.#record.read();
    this.#exit = exitOf({
      number: this.number,
      pid: this.pid,
      code,
      signal,
      ended,
      wasUncaught: this.#wasUncaught,
      memoryRanOut: this.#memoryRanOut(),
      stderr: this.#lastWords.text,
    });
    this.#record.close();
    this.#orders.close();
    this.#reports.close();
    for (const pipe of [this.#child?.stdin, this.#child?.stdout, this.#child?.stderr]) {
      pipe?.destroy();
    }
    this.#listener.exited(this, this.#exit);
  }

  #memoryRanOut(): boolean {
    if (this.#memoryEvents !== "") {
      return memoryKills(this.#memoryEvents) > this.#killsBefore;
    }
    return allMemoryKills() > this.#allKillsBefore;
  }

  /** How it has ended; null: it has not. */
  get exit(): WorkerExit | null {
    return this.#exit;
  }

  get isStarting(): boolean {
    return !this.isReady && this.#exit === null;
  }

  /** What it works on. Also after its end: what it worked on at last. */
  content(): RecordContent {
    const content = this.#record.read();
    if (content.calls !== this.#callsSeen) {
      this.#callsSeen = content.calls;
      this.#idleSince = wallClock();
    }
    return content;
  }

  /** Empty until it is ready. */
  get methods(): readonly string[] {
    return this.#methods;
  }

  methodOf(index: number): string {
    return this.#methods[index] ?? "";
  }

  /** It has a call, or a session holds it. */
  get isBusy(): boolean {
    return this.session !== null || this.content().running.length > 0;
  }

  /** It does nothing, and takes calls. */
  isIdle(content: RecordContent = this.content()): boolean {
    return this.isReady && !this.isLeaving && !this.isSpent && this.session === null &&
      content.running.length === 0;
  }

  info(): WorkerInfo {
    if (this.#exit && this.#last) return this.#last;
    const content = this.content();
    const oldest = content.running.reduce<typeof content.running[number] | undefined>(
      (first, call) => first && first.since <= call.since ? first : call,
      undefined,
    );
    return {
      number: this.number,
      pid: this.pid,
      runtime: this.runtime,
      state: this.#state(content),
      method: oldest ? this.methodOf(oldest.method) : null,
      since: oldest?.since ?? this.#idleSince,
      calls: content.calls,
      rssBytes: residentBytes(this.pid),
    };
  }

  #state(content: RecordContent): WorkerState {
    if (this.isLeaving) return "stopping";
    if (!this.isReady) return "starting";
    return content.running.length > 0 || this.session !== null ? "busy" : "idle";
  }

  /** It has had no call since, as far as the supervisor has looked. */
  get idleSince(): number {
    return this.#idleSince;
  }

  /** It had a call when the supervisor last looked. */
  wasBusy(): void {
    this.#idleSince = wallClock();
  }

  order(order: Order): void {
    if (this.#exit) return;
    try {
      this.#orders.post(order);
    } catch {
      // The worker has damaged the channel, and obeys no order any more.
      this.kill();
    }
  }

  /** Takes calls again, although it is spent. */
  goOn(): void {
    this.isSpent = false;
    this.order({ kind: "goOn" });
  }

  /** Finishes its calls, and ends. */
  retire(): void {
    this.isLeaving = true;
    this.order({ kind: "retire" });
  }

  /** Kills it for a call, unless that has ended. */
  killFor(entry: number, sequence: number, reason: CondemnedReason): void {
    if (this.#record.condemn(entry, sequence, reason)) this.kill();
  }

  /** Kills it, and all that it has started. */
  kill(): void {
    this.isLeaving = true;
    if (this.pid !== 0 && !this.#exit) killTree(this.pid);
  }
}

/** It does not keep the process alive. Sockets of all runtimes have the method; types of streams do not. */
function unref(stream: Stream | null): void {
  (stream as { unref?(): void } | null)?.unref?.();
}

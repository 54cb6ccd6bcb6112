/**
 * The work of a {@linkcode Pool}.
 *
 * @module
 */
import type { ServiceCore } from "../rpc/service_core.ts";
import { setTitle } from "../ffi/title.ts";
import { connect } from "../rpc/remote.ts";
import type { CallTerms } from "../rpc/terms.ts";
import { Client } from "../channel/client.ts";
import { coreOf } from "../channel/handle.ts";
import { unlinkChannel } from "../channel/channel.ts";
import type { ClientCore } from "../channel/client_core.ts";
import { TandemError } from "../errors.ts";
import { checkTimeout } from "../base/checks.ts";
import { endedByClosing } from "../base/closing.ts";
import { keepAlive, later, laterForSure, now, timerMax } from "../runtime/timers.ts";
import type { PoolCallOptions, PoolOptions } from "./options.ts";
import { bootstrapFor } from "./supervisor/bootstrap_file.ts";
import { identityOf, shareWith } from "./supervisor/identity.ts";
import type { Listeners } from "../base/listeners.ts";
import type { PoolTap } from "./supervisor/pool_logs.ts";
import { type CallHome, PoolCalls } from "./clients/pool_calls.ts";
import { claim } from "./link/guard.ts";
import { withoutLogin } from "../nats/target.ts";
import { PoolFront } from "./front/pool_front.ts";
import { PoolDoor } from "./supervisor/pool_door.ts";
import { controlTarget, openPoolChannel, supervisorOf } from "./supervisor/pool_channel.ts";
import {
  type ClientTerms,
  type ControlledPool,
  type PoolControl,
  serveControl,
  serveFarControl,
} from "./supervisor/public_control.ts";
import type { SessionHome } from "./session/session_home.ts";
import type { SessionListener } from "./session/session_logs.ts";
import { Supervisor } from "./supervisor/supervisor.ts";
import { parsePoolOptions, parseResize, type PoolTerms } from "./supervisor/terms.ts";
import type { PoolStats, WorkerExit, WorkerInfo } from "./types.ts";
import type { ZmqDoor } from "../zmq/door.ts";

/** How often a pool looks whether its calls have ended, or its target is free, in milliseconds. */
const lookEvery = 5;
/** How much longer than its `stopTimeout` another supervisor may take to hand over, in milliseconds. */
const handOverGrace = 5_000;
/** How long those who ask a closed pool about itself may take to get their answers, in milliseconds. */
const controlGrace = 1_000;

export class PoolCore<Api extends object> implements CallHome, ControlledPool, SessionHome {
  readonly terms: PoolTerms;
  readonly calls: PoolCalls<Api>;
  readonly supervisor: Supervisor;
  readonly ready: Promise<void>;
  readonly finished: Promise<void>;
  #finish!: () => void;
  /** For numbers, the claim, and the descriptor that workers inherit. */
  readonly channel: ClientCore;
  /** For attached pools; null: the pool has no target. */
  #control: ServiceCore | null = null;
  /** The handle of this process's own calls. */
  readonly #client: ClientCore;
  /** Resolves when callers on other machines reach the pool, if they may. */
  readonly #frontOpened: Promise<void>;
  /** For clients of ZeroMQ; null: there is none, or the target is not this supervisor's yet. */
  #door: PoolDoor | null = null;
  /** For callers on other machines; null: they have none, or it is not open yet. */
  #front: PoolFront | null = null;
  /** The target is this supervisor's. */
  #isOwner: boolean;
  #isRefusing = false;
  #closing: Promise<void> | null = null;
  /** When calls that are left are given up. A later `close()` may leave less time. */
  #closeBy = Infinity;
  /** The workers are told to end. */
  #isEnding = false;
  #wasStopped = false;

  constructor(file: string | URL, options: PoolOptions) {
    this.terms = parsePoolOptions(file, options);
    this.finished = new Promise((resolve) => this.#finish = resolve);
    const { terms } = this;
    const { args, env, cwd, user, group } = terms;
    const { uid, gid } = identityOf(user, group);
    this.channel = openPoolChannel(terms);
    let client: Client | null = null;
    let supervisor: Supervisor | null = null;
    try {
      if (gid !== undefined) shareWith(this.channel.fd, gid);
      // Workers of another user cannot reach the folder of a name, but perhaps that of a path.
      const isPath = terms.target?.includes("/") === true;
      const isNamed = this.channel.path !== null;
      const isInherited = !isNamed || (gid !== undefined && !isPath);
      const plan = {
        file,
        args,
        env,
        cwd,
        uid,
        gid,
        channelFd: isInherited ? this.channel.fd : null,
        bootstrap: bootstrapFor,
      };
      const path = isInherited ? null : this.channel.path;
      this.supervisor = supervisor = new Supervisor(terms, plan, this.channel, path);
      client = isNamed ? Client.open(this.channel.path!) : Client.fromFd(this.channel.fd);
      this.#client = coreOf(client) as ClientCore;
      const name = terms.target === undefined ? terms.name : withoutLogin(terms.target);
      this.calls = new PoolCalls<Api>(client, this, undefined, name);
      this.#isOwner = !isNamed || claim(this.channel);
      if (this.#isOwner && terms.target !== undefined) {
        this.#control = isNamed
          ? serveControl(terms.target, this)
          : serveFarControl(terms.target, this, terms.nats);
      }
      if (terms.title) setTitle(`tandem ${terms.name} supervisor`);
      supervisor.start();
      if (this.#isOwner) this.#openDoor(false);
    } catch (error) {
      // The caller has no pool to close, so the target is given back here.
      void supervisor?.stop(0);
      void this.#control?.close();
      client?.close();
      this.channel.close();
      throw error;
    }
    this.#frontOpened = this.#openFront();
    this.#frontOpened.catch(() => {});
    this.ready = this.#whenReady();
    // A program that does not ask for it gets no unhandled rejection.
    this.ready.catch(() => {});
  }

  /** Calls come from other machines once a worker is there for them, or the reason why none is. */
  async #openFront(): Promise<void> {
    const { supervisor, channel, terms: { target } } = this;
    if (target === undefined || channel.path !== null) return;
    const isThere = () =>
      supervisor.readyCount > 0 || supervisor.lastFailure !== undefined ||
      supervisor.size.min === 0;
    await supervisor.when(() => isThere() || this.#closing !== null);
    if (this.#closing || this.#isRefusing) return;
    this.#front = new PoolFront(this, Client.fromFd(channel.fd));
    await this.#front.opened;
  }

  /** See {@linkcode FrontHome.places}. */
  get places(): number {
    return this.supervisor.size.max * this.terms.concurrency;
  }

  methods(): readonly string[] {
    return this.supervisor.methods;
  }

  #openDoor(follows: boolean): void {
    const { zmq, timeout } = this.terms;
    if (!zmq) return;
    const channel = this.channel.path ?? this.channel.fd;
    this.#door = new PoolDoor(zmq, channel, timeout, follows);
  }

  get door(): ZmqDoor | null {
    return this.#door?.door ?? null;
  }

  clientTerms(): ClientTerms {
    return { openCalls: this.openMax };
  }

  workers(): WorkerInfo[] {
    return this.supervisor.infos();
  }

  get taps(): Listeners<PoolTap> {
    return this.supervisor.logs.taps;
  }

  async handOver(): Promise<void> {
    await this.#door?.close(this.terms.stopTimeout);
    await this.supervisor.stop(this.terms.stopTimeout);
    this.#release();
  }

  get openMax(): number {
    const { maxQueuePerClient, concurrency } = this.terms;
    return maxQueuePerClient + this.supervisor.size.max * concurrency;
  }

  get timeout(): number {
    return this.terms.timeout;
  }

  get callOptions(): PoolCallOptions {
    return this.terms.callOptions;
  }

  get idempotent(): boolean | readonly string[] {
    return this.terms.idempotent;
  }

  get connection(): PoolCalls<Api>["connection"] {
    return this.calls.connection;
  }

  refusal(): TandemError | null {
    if (this.#closing) return closed();
    if (!this.#isRefusing) return null;
    return new TandemError("CLOSED", "Cannot call the pool: it drains, and takes no new calls");
  }

  stir(): void {
    this.supervisor.stir();
  }

  exitOfCall(id: bigint): Promise<WorkerExit | undefined> {
    return this.supervisor.exits.ofCall(id);
  }

  exitOfProcess(pid: number): Promise<WorkerExit | undefined> {
    return this.supervisor.exits.ofProcess(pid);
  }

  call(method: string, args: readonly unknown[], terms: CallTerms): AsyncGenerator<unknown> {
    return this.calls.call(method, args, terms);
  }

  onSessionLog(session: string, listener: SessionListener): () => void {
    return this.supervisor.logs.onSession(session, listener);
  }

  /** Rejects when none could start within `startTimeout`, and when the pool closes before. */
  async #whenReady(): Promise<void> {
    const { supervisor, terms: { startTimeout } } = this;
    let isLate = false;
    const cancel = startTimeout === Infinity
      ? () => {}
      : later(Math.min(startTimeout, timerMax), () => {
        isLate = true;
        supervisor.wake();
      });
    const hasFailed = () =>
      isLate && supervisor.readyCount === 0 && supervisor.lastFailure !== undefined;
    await supervisor.when(() =>
      supervisor.readyCount >= supervisor.size.min || this.#closing !== null || hasFailed()
    );
    cancel();
    if (this.#closing) throw endedByClosing(closed());
    if (supervisor.readyCount < supervisor.size.min) throw supervisor.lastFailure;
    if (!this.#isOwner) {
      await this.#takeOver(this.terms.target!);
      this.#openDoor(true);
    }
    await this.#door?.opened;
    await this.#frontOpened;
  }

  /** The workers are ready: the supervisor that has the target ends its own. */
  async #takeOver(target: string): Promise<void> {
    await this.#claimFrom(target);
    this.#control = serveControl(target, this);
  }

  /** Leaves no request behind: this supervisor would take it itself. */
  async #claimFrom(target: string): Promise<void> {
    using old = connect<PoolControl>(controlTarget(target), {
      timeout: this.terms.stopTimeout + handOverGrace,
    });
    let isAsking = false;
    const hasAnswered = () => void (isAsking = false);
    for (;;) {
      if (this.#closing) throw endedByClosing(closed());
      this.#isOwner = claim(this.channel);
      if (this.#isOwner) return;
      // It may end by itself, also before it has taken the request, which would wait for another one then.
      if (!isAsking && supervisorOf(target) !== undefined) {
        isAsking = true;
        old.handOver().then(hasAnswered, hasAnswered);
      }
      await pause(lookEvery);
    }
  }

  stats(): PoolStats {
    const infos = this.supervisor.infos();
    const count = (state: string) => infos.filter((info) => info.state === state).length;
    return {
      ...this.channel.stats(),
      ...this.supervisor.size,
      workers: infos.length,
      starting: count("starting"),
      idle: count("idle"),
      busy: count("busy"),
      stopping: count("stopping"),
      exits: this.supervisor.exits.count,
    };
  }

  /** Removes the target's name. False: it was removed already, or there is none. */
  unlink(): boolean {
    const { path } = this.channel;
    this.#control?.unlink();
    return path === null ? this.#front?.unlink() ?? false : unlinkChannel(path);
  }

  resize(size: { min?: number; max?: number }): void {
    this.#checkOpen("resize it");
    const { slots } = this.channel;
    this.supervisor.size = parseResize(size, this.supervisor.size, slots);
    this.#front?.resized();
  }

  async restart(): Promise<void> {
    this.#checkOpen("restart its workers");
    await this.supervisor.restart();
  }

  #checkOpen(tried: string): void {
    if (this.#closing) throw new TandemError("CLOSED", `Cannot ${tried}: the pool is closed`);
  }

  /** Takes no new calls. Resolves to whether the accepted ones have ended in time. */
  async drain(timeout: number): Promise<boolean> {
    checkTimeout(timeout, "timeout");
    const deadline = now() + timeout;
    return await this.#drainUntil(() => deadline);
  }

  async #drainUntil(deadline: () => number): Promise<boolean> {
    this.#isRefusing = true;
    const release = keepAlive();
    this.#front?.leave();
    try {
      await this.#door?.close(Math.max(0, deadline() - now()));
      while (this.#hasCalls()) {
        if (now() >= deadline()) return false;
        await pause(lookEvery);
      }
      return true;
    } finally {
      release();
    }
  }

  /** Calls of others that still wait are for the next pool on the target. */
  #hasCalls(): boolean {
    if (!this.#client.channel.isOpen) return false;
    if (this.#front?.isIdle === false) return true;
    return this.#client.pending > 0 || this.supervisor.workers.some((worker) => worker.isBusy);
  }

  async close(timeout: number = this.terms.stopTimeout): Promise<void> {
    checkTimeout(timeout, "timeout");
    const deadline = now() + timeout;
    const isSooner = deadline < this.#closeBy;
    this.#closeBy = Math.min(deadline, this.#closeBy);
    if (isSooner && this.#closing) void this.#door?.close(timeout);
    if (isSooner && this.#isEnding) this.supervisor.killIn(timeout);
    this.#closing ??= this.#close();
    this.supervisor.wake();
    await this.#closing;
  }

  async #close(): Promise<void> {
    // Nobody waits for workers that cannot start.
    if (this.supervisor.readyCount > 0) await this.#drainUntil(() => this.#closeBy);
    else await this.#door?.close(0);
    await this.#front?.close(0);
    // What is left ends with CLOSED, before its workers die.
    this.calls.close();
    this.#isEnding = true;
    await this.supervisor.stop(Math.max(0, this.#closeBy - now()));
    // Nobody takes over from it, who would wait for an answer.
    if (this.channel.path === null) await this.#control?.close({ timeout: controlGrace });
    this.#release();
  }

  #release(): void {
    if (this.#wasStopped) return;
    this.#wasStopped = true;
    this.#finish();
    // Its own answer to the successor is still to be sent.
    void this.#control?.close();
    this.channel.close();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void laterForSure(milliseconds, resolve));
}

function closed(): TandemError {
  return new TandemError("CLOSED", "Cannot use the pool: it is closed");
}

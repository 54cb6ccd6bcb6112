/**
 * The supervisor's side of one worker, without a pool: tests see each report, and give each order.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { ChildProcess } from "node:child_process";
import { Client, connect, type ConnectOptions } from "../../mod.ts";
import { checkout, nodeArgs, programOf, toolPath } from "../../scripts/tools.ts";
import { ServerCore } from "../../src/channel/server_core.ts";
import {
  type Assignment,
  type Order,
  preloadFlags,
  type Report,
  type SentRecord,
} from "../../src/pool/link/control.ts";
import { Inbox, Outbox } from "../../src/pool/link/post.ts";
import { WorkerRecord } from "../../src/pool/link/record.ts";
import { runtimeCommand, startProcess } from "../../src/runtime/processes.ts";
import type { Remote } from "../../src/rpc/types.ts";
import { atEnd, eventually, type Exit, present, type Runtime } from "./harness.ts";

/** How the worker is started. */
export interface FakeTerms {
  readonly assignment?: Partial<Assignment>;
  /** Deno's permissions; default: exactly what the core needs. */
  readonly denoPermissions?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: true. */
  readonly hasBootstrap?: boolean;
}

const bootstrap = programOf(`${checkout}/src/pool/worker/bootstrap.ts`);

export class FakeSupervisor {
  readonly reports: Report[] = [];
  readonly record: WorkerRecord;
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;
  readonly #inbox: Inbox<Report>;
  readonly #orders: Outbox<Order>;
  readonly #channel: Client;

  /** @param file a file of `fixtures/`, or an absolute path */
  constructor(runtime: Runtime, file: string, terms: FakeTerms = {}) {
    const { assignment = {}, denoPermissions = ["--allow-ffi"], args = [], env = {} } = terms;
    const { hasBootstrap = true } = terms;
    const { concurrency = 1 } = assignment;
    this.#inbox = Inbox.create("reports");
    this.#orders = Outbox.create("orders");
    this.record = WorkerRecord.create(concurrency);
    const server = ServerCore.anonymous({ slots: 64 });
    this.#channel = Client.fromFd(server.fd);
    server.close();
    const begin: Assignment = {
      number: 3,
      pool: "fake",
      path: null,
      concurrency,
      abortGrace: 10_000,
      hungTimeout: null,
      maxCalls: null,
      idempotent: false,
      afterError: "keep",
      ...assignment,
    };
    this.#orders.post({ kind: "begin", assignment: begin });
    const preload = hasBootstrap ? preloadFlags(runtime, bootstrap) : [];
    const own = runtime === "deno"
      ? ["--quiet", "--no-prompt", ...denoPermissions]
      : runtime === "node"
      ? nodeArgs
      : [];
    const path = file.startsWith("/") ? file : programOf(`${checkout}/tests/fixtures/${file}`);
    const command = runtimeCommand(runtime, path, {
      args,
      runtimeArgs: [...own, ...preload],
      candidates: [toolPath(runtime)],
    });
    const inherited = [this.#inbox.fd, this.#orders.fd, this.record.fd, this.#channel.fd];
    this.#child = startProcess(command, {
      cwd: checkout,
      // Its private paths lie where this process looks for those of an anonymous channel.
      env: { NO_COLOR: "1", ...env },
      stdio: ["pipe", "pipe", "pipe", ...inherited],
      isDetached: true,
    });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => this.stdout += text);
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.stderr += text);
    this.exited = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    atEnd(async () => {
      this.kill();
      await this.exited;
      for (const open of [this.#inbox, this.#orders, this.record, this.#channel]) open.close();
    });
  }

  get pid(): number {
    return present(this.#child.pid);
  }

  get channelFd(): number {
    return this.#channel.fd;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** The lifeline hangs up. */
  hangUp(): void {
    this.#child.stdin!.destroy();
  }

  order(order: Order): void {
    this.#orders.post(order);
  }

  /** Reads what has been reported until now. */
  read(): readonly Report[] {
    for (;;) {
      const report = this.#inbox.take();
      if (report === undefined) return this.reports;
      this.reports.push(report);
    }
  }

  /** All reports of that kind until now. */
  all<K extends Report["kind"]>(kind: K): Extract<Report, { kind: K }>[] {
    return this.read().filter((report) => report.kind === kind) as Extract<Report, { kind: K }>[];
  }

  /** Waits until there are `count` reports of that kind, and returns the last one. */
  async when<K extends Report["kind"]>(
    kind: K,
    count: number = 1,
  ): Promise<Extract<Report, { kind: K }>> {
    let hasEnded = false;
    void this.exited.then(() => hasEnded = true);
    await eventually(() => {
      const isEnd = hasEnded;
      if (this.all(kind).length >= count) return true;
      assert(!isEnd, `no report ${kind}: ${this.describe()}`);
      return false;
    }, `report ${kind}`);
    return this.all(kind)[count - 1]!;
  }

  /** The log records until now. */
  get records(): readonly SentRecord[] {
    return this.all("log").flatMap(({ records }) => records);
  }

  connect<Api extends object>(options: ConnectOptions = {}): Remote<Api> & Disposable {
    const client = Client.fromFd(this.#channel.fd);
    return connect<Api>(client, { timeout: 20_000, ...options }) as Remote<Api> & Disposable;
  }

  describe(): string {
    return JSON.stringify(this.reports) + this.stdout + this.stderr;
  }
}

/**
 * The service of a worker: it takes the calls of the pool's channel, and follows its supervisor's orders.
 *
 * @module
 */
import { openChannel, openChannelFromFd, OpenMode } from "../../channel/channel.ts";
import { ServerCore } from "../../channel/server_core.ts";
import { type Callee, type Offered, offeredMethods } from "../../rpc/interface.ts";
import { ServiceCore } from "../../rpc/service_core.ts";
import type { ServiceTerms } from "../../rpc/terms.ts";
import { backend } from "../../runtime/current.ts";
import { keepAlive, setImmediate } from "../../runtime/timers.ts";
import { ChannelReceiver } from "../../transport/shared_memory.ts";
import type { Delivery } from "../../transport/transport.ts";
import { type Assignment, descriptors, type Order, reserved } from "../link/control.ts";
import { killChildren, startGuard } from "../link/guard.ts";
import { logTarget } from "./log_target.ts";
import { Inbox } from "../link/post.ts";
import { SessionHost } from "./session_host.ts";
import type { HeldTerms } from "../session/session_terms.ts";
import { WorkerCalls } from "./worker_calls.ts";
import { WorkerLog } from "./worker_log.ts";
import { fail, type Worker } from "./worker_start.ts";

/** What a program runs at certain moments of a worker. */
export interface WorkHooks {
  readonly setup: () => unknown;
  readonly checkoutDone: () => unknown;
  readonly exit: () => unknown;
}

/**
 * Runs `setup`, then serves until the supervisor retires the worker.
 *
 * @throws {TypeError} for a value without methods
 * @throws {TandemError} when the worker cannot reach its supervisor
 */
export function startService(
  worker: Worker,
  api: object,
  hooks: WorkHooks,
  terms: ServiceTerms,
): void {
  const service = new WorkerService(worker, api, hooks, terms);
  void service.run();
}

class WorkerService {
  readonly #worker: Worker;
  readonly #hooks: WorkHooks;
  readonly #terms: ServiceTerms;
  readonly #methods: ReadonlyMap<string, Offered>;
  readonly #log: WorkerLog;
  readonly #sessions: SessionHost;
  readonly #calls: WorkerCalls;
  readonly #orders: Inbox<Order>;
  #server: ServerCore | null = null;
  #service: ServiceCore | null = null;
  #isRetiring = false;

  constructor(worker: Worker, api: object, hooks: WorkHooks, terms: ServiceTerms) {
    const { mark: { assignment }, outbox } = worker;
    this.#worker = worker;
    this.#hooks = hooks;
    this.#terms = terms;
    this.#log = new WorkerLog(outbox, {
      idOf: (delivery) => this.#idOf(delivery),
      session: () => this.#sessions.session,
    });
    this.#sessions = new SessionHost({
      worker: { number: assignment.number, pid: backend().pid },
      pause: () => this.#running.pause(),
      whenIdle: () => this.#running.whenIdle(),
      whenNone: () => this.#calls.whenNone(),
      post: (report) => outbox.post(report),
      checkoutDone: () => hooks.checkoutDone(),
      isClientThere: (pid) =>
        this.#server!.members().some((member) => member.role === "client" && member.pid === pid),
      failed: (error) => this.#log.write("error", "checkoutDone has thrown", { error }),
      settle: () => this.#calls.settle(),
    });
    this.#methods = withReserved(offeredMethods(api), this.#sessions);
    this.#calls = new WorkerCalls([...this.#methods.keys()], assignment, {
      pause: () => this.#running.pause(),
      post: (report) => outbox.post(report),
      workers: () => this.#server?.servers ?? 0,
      isHeld: () => this.#sessions.session !== null,
      ended: (delivery) => this.#log.callEnded(delivery),
    });
    this.#orders = Inbox.fromFd(descriptors.orders);
  }

  get #running(): ServiceCore {
    return this.#service!;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const { mark, outbox } = this.#worker;
    mark.phase = "setup";
    mark.console = (level, text) => this.#log.write(level, text);
    logTarget.worker = this.#log;
    this.#orders.listen((order) => this.#follow(order));
    try {
      const { setup } = this.#hooks;
      await setup();
      // An error at the end of the worker file comes first.
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (mark.phase !== "setup") return;
      this.#serve();
    } catch (error) {
      fail(mark, outbox, error);
    }
  }

  #serve(): void {
    const { mark, outbox } = this.#worker;
    const { assignment } = mark;
    const { record, lifeline } = descriptors;
    const { abortGrace, hungTimeout } = assignment;
    startGuard({
      recordFd: record,
      lifeline,
      abortGrace,
      hungTimeout: hungTimeout ?? Infinity,
    });
    const server = openServer(assignment);
    this.#server = server;
    mark.phase = "ready";
    outbox.post({ kind: "ready", methods: this.#calls.methods });
    this.#service = new ServiceCore(
      new ChannelReceiver(server),
      this.#methods,
      this.#terms,
      this.#calls,
    );
    // It also lives while it is paused, until its supervisor ends it or is gone.
    keepAlive();
  }

  #follow(order: Order): void {
    switch (order.kind) {
      case "retire":
        return void this.#retire();
      case "goOn":
        return this.#calls.goOn();
      case "pace":
        this.#calls.pace = order.milliseconds;
        return;
      case "begin":
        return;
    }
  }

  /** Never rejects. The supervisor limits how long this takes. */
  async #retire(): Promise<void> {
    if (this.#isRetiring) return;
    this.#isRetiring = true;
    const { mark } = this.#worker;
    const wasReady = mark.phase === "ready";
    if (!wasReady) mark.phase = "over";
    let code = 0;
    try {
      if (wasReady) {
        await this.#sessions.whenFree();
        await this.#running.close();
        await this.#hooks.exit();
      }
    } catch (error) {
      code = 1;
      this.#log.write("error", "exit has thrown", { error });
    }
    mark.phase = "over";
    killChildren();
    backend().exit(code);
  }

  /** Calls that are addressed to this worker have ids of their own. */
  #idOf(delivery: Delivery): string {
    const { id } = delivery as unknown as { readonly id: bigint };
    const server = this.#server;
    const isOfPool = server?.channel.isOpen &&
      server.heldRequest(id) as Delivery | null === delivery;
    return isOfPool ? `${id}` : `${backend().pid}-${id}`;
  }
}

/** Only an existing channel: nobody would look for a new one. */
function openServer({ path }: Assignment): ServerCore {
  return new ServerCore(
    path === null
      ? openChannelFromFd("server", descriptors.channel)
      : openChannel("server", path, OpenMode.attach),
  );
}

function withReserved(
  methods: ReadonlyMap<string, Offered>,
  host: SessionHost,
): ReadonlyMap<string, Offered> {
  const common = { self: undefined, wasRaw: false, isHidden: true };
  const checkout: Callee = (id, terms) => host.checkout(id as string, terms as HeldTerms);
  const checkin: Callee = (id, hadError) => host.checkin(id as string, hadError === true);
  return new Map(methods)
    .set(reserved.checkout, { ...common, name: reserved.checkout, bare: checkout })
    .set(reserved.checkin, { ...common, name: reserved.checkin, bare: checkin });
}

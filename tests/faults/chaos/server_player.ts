/**
 * A server: takes requests in all forms, answers them in and out of turn, and sometimes closes its handle
 * while it holds some.
 *
 * @module
 */
import { Server, type ServerRequest, TandemError } from "../../../mod.ts";
import { DeliveryOutcome, Phase } from "./ledger.ts";
import { sleep, type Stage } from "./player.ts";
import { type HeldRequest, ServerLog } from "./server_log.ts";

/** The mean number of turns of one handle; each takes and answers some requests. */
const turnsPerHandle = 2_000;
const heldMax = 6;
/** How often a handle clears the channel before it does something else. */
const clearShare = 0.03;

/** Plays until the conductor or its ledger says that it is enough. */
export async function playServer(stage: Stage): Promise<void> {
  const log = new ServerLog(stage);
  stage.setPhase(Phase.running);
  while (!stage.shouldFinish) {
    stage.chooseTemper();
    const server = Server.open(stage.part.target);
    if (stage.random.chance(clearShare)) clear(stage, server);
    const isBlocking = stage.part.mode === "sync" ||
      stage.part.mode === "mixed" && stage.random.chance(0.5);
    if (isBlocking) new BlockingServer(stage, log, server).play();
    else await new PromiseServer(stage, log, server).play();
  }
}

function clear(stage: Stage, server: Server): void {
  const { head } = stage.ledger;
  head.beginClear(stage.now());
  const ended = server.clear();
  head.endClear(stage.now(), ended);
}

/** One handle in the blocking forms. */
class BlockingServer {
  readonly #stage: Stage;
  readonly #log: ServerLog;
  readonly #server: Server;
  readonly #held: HeldRequest[] = [];
  #isOpen = true;

  constructor(stage: Stage, log: ServerLog, server: Server) {
    this.#stage = stage;
    this.#log = log;
    this.#server = server;
  }

  play(): void {
    let turns = this.#stage.random.skewed(10, 2 * turnsPerHandle);
    while (turns-- > 0 && this.#isOpen && !this.#stage.shouldFinish) this.#turn();
    // While it holds requests, or after all are answered.
    if (this.#stage.shouldFinish || this.#stage.random.chance(0.3)) {
      while (this.#held.length > 0) this.#answerOne();
    }
    this.#close();
  }

  #close(): void {
    this.#isOpen = false;
    this.#log.closing();
    this.#server.close();
  }

  #turn(): void {
    const { random } = this.#stage;
    const room = heldMax - this.#held.length;
    if (room === 0) return this.#answerOne();
    // A server that holds a request must not sleep on it for long.
    const timeout = this.#held.length > 0 ? random.pick([0, 0.1, 1]) : random.pick([1, 20, 300]);
    this.#stage.beat();
    switch (random.between(0, 4)) {
      case 0:
        this.#take(1, () => orNone(this.#server.tryReceive()));
        break;
      case 1:
        this.#take(1, () => orNone(this.#server.receiveSync({ timeout })));
        break;
      case 2:
        this.#take(room, () => this.#server.tryReceiveMany(room));
        break;
      case 3:
        this.#take(room, () => this.#server.receiveManySync(room, { timeout }));
        break;
      case 4:
        this.#serve(random.pick([0, 1]));
        break;
    }
    if (random.chance(0.9)) this.#answerOne();
  }

  #take(count: number, receive: () => ServerRequest[]): void {
    this.#log.expect(count);
    this.#held.push(...this.#log.take(this.#server, receive(), count));
  }

  #answerOne(): void {
    if (this.#held.length === 0) return;
    const [handed] = this.#held.splice(this.#stage.random.between(0, this.#held.length - 1), 1);
    this.#log.answer(handed!);
  }

  #serve(idleTimeout: number): void {
    let served = 0;
    this.#log.expect(1);
    this.#server.serveSync((request) => {
      const [handed] = this.#log.take(this.#server, [request], 1);
      served += 1;
      // Others may be in progress, and serving does not end while requests keep coming.
      if (served > 20) this.#answerOne();
      if (served > 200) this.#close();
      this.#log.expect(1);
      return answerByHandler(this.#stage, this.#log, handed!);
    }, { idleTimeout });
    this.#log.take(this.#server, [], 1);
  }
}

/** One handle in the promise forms. */
class PromiseServer {
  readonly #stage: Stage;
  readonly #log: ServerLog;
  readonly #server: Server;
  readonly #working: Set<Promise<void>> = new Set();
  #turns: number;
  #isClosing = false;

  constructor(stage: Stage, log: ServerLog, server: Server) {
    this.#stage = stage;
    this.#log = log;
    this.#server = server;
    this.#turns = stage.random.skewed(10, 2 * turnsPerHandle);
  }

  async play(): Promise<void> {
    const { random } = this.#stage;
    const watch = setInterval(() => {
      if (this.#shouldEnd()) this.#close();
    }, random.between(5, 20));
    try {
      while (!this.#isClosing) await this.#form();
    } finally {
      clearInterval(watch);
    }
    await Promise.all(this.#working);
  }

  #shouldEnd(): boolean {
    return this.#turns <= 0 || this.#stage.shouldFinish;
  }

  /** Closes in the middle of any wait, which ends by that. */
  #close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#log.closing();
    this.#server.close();
  }

  async #form(): Promise<void> {
    try {
      switch (this.#stage.random.between(0, 3)) {
        case 0:
          return await this.#receive();
        case 1:
          return await this.#receiveMany();
        case 2:
          return await this.#iterate();
        case 3:
          return await this.#serve();
      }
    } catch (error) {
      const isClosed = error instanceof TandemError && error.code === "CLOSED" && this.#isClosing;
      if (!isClosed && error !== changed) throw error;
    }
  }

  /** Several waits at once, some of which give up or are aborted. */
  async #receive(): Promise<void> {
    const { random } = this.#stage;
    const waits = Array.from({ length: random.between(1, 3) }, async () => {
      for (let count = 0; count < 50 && !this.#shouldEnd(); count++) {
        const options = random.weighted<() => { timeout?: number; signal?: AbortSignal }>([
          [() => ({}), 5],
          [() => ({ timeout: random.pick([0, 1, 30]) }), 4],
          [() => ({ signal: changeSoon(random.between(0, 30)) }), 1],
        ])();
        await this.#take(1, async () => orNone(await this.#server.receive(options)));
      }
    });
    for (const result of await Promise.allSettled(waits)) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async #receiveMany(): Promise<void> {
    for (let count = 0; count < 50 && !this.#shouldEnd(); count++) {
      const max = this.#stage.random.between(1, heldMax);
      await this.#take(max, () => this.#server.receiveMany(max));
    }
  }

  async #take(max: number, receive: () => Promise<ServerRequest[]>): Promise<void> {
    while (this.#working.size >= heldMax) await Promise.race(this.#working);
    this.#log.expect(max);
    let requests: ServerRequest[] = [];
    try {
      requests = await receive();
    } catch (error) {
      if (error !== changed) throw error;
    } finally {
      for (const handed of this.#log.take(this.#server, requests, max)) this.#work(handed);
    }
  }

  async #iterate(): Promise<void> {
    let left = this.#stage.random.between(1, 100);
    this.#log.expect(1);
    for await (const request of this.#server) {
      const [handed] = this.#log.take(this.#server, [request], 1);
      this.#work(handed!);
      while (this.#working.size >= heldMax) await Promise.race(this.#working);
      if (left-- <= 0) return;
      this.#log.expect(1);
    }
    this.#log.take(this.#server, [], 1);
  }

  async #serve(): Promise<void> {
    const { random } = this.#stage;
    const signal = changeSoon(random.between(5, 500));
    this.#log.expect(1);
    await this.#server.serve((request) => {
      const [handed] = this.#log.take(this.#server, [request], 1);
      this.#log.expect(1);
      this.#turns -= 1;
      if (this.#isPrompt()) return answerByHandler(this.#stage, this.#log, handed!);
      return this.#delay(handed!).then(() => answerByHandler(this.#stage, this.#log, handed!));
    }, { signal, concurrency: random.between(1, heldMax) });
    this.#log.take(this.#server, [], 1);
  }

  #work(handed: HeldRequest): void {
    this.#turns -= 1;
    if (this.#isPrompt()) return this.#log.answer(handed);
    const work = this.#delay(handed).then(() => this.#log.answer(handed));
    this.#working.add(work);
    work.finally(() => this.#working.delete(work));
  }

  #isPrompt(): boolean {
    return this.#stage.random.chance(this.#stage.isBrisk ? 0.98 : 0.5);
  }

  /** Mostly short, sometimes until the client gives up. */
  async #delay(handed: HeldRequest): Promise<void> {
    const { random } = this.#stage;
    const delay = sleep(random.chance(0.9) ? random.between(0, 3) : random.between(10, 80));
    if (this.#log.isEnded(handed) || random.chance(0.7)) return await delay;
    const { signal } = handed.request;
    await Promise.race([delay, new Promise((resolve) => (signal.onabort = resolve))]);
  }
}

/** Answers in one of a handler's ways. */
function answerByHandler(
  stage: Stage,
  log: ServerLog,
  handed: HeldRequest,
): Uint8Array<ArrayBuffer> | undefined {
  if (log.isEnded(handed) || stage.random.chance(0.4)) {
    log.answer(handed);
    return undefined;
  }
  log.check(handed);
  if (stage.random.chance(0.05)) {
    const error = log.errorOf(handed);
    log.end(handed, DeliveryOutcome.thrown);
    throw error;
  }
  // A copy: the buffer may be used again before this one is sent.
  const answer = log.answerOf(handed).slice();
  log.end(handed, DeliveryOutcome.returned);
  return answer;
}

/** Why a wait was aborted. */
const changed = Symbol("something else is done now");

function changeSoon(milliseconds: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(changed), milliseconds);
  return controller.signal;
}

function orNone(request: ServerRequest | null): ServerRequest[] {
  return request ? [request] : [];
}

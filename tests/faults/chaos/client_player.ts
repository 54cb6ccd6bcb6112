/**
 * A client: calls in all forms, and sometimes closes its handle in the middle of them.
 *
 * @module
 */
import { Client } from "../../../mod.ts";
import {
  type BlockingForm,
  blockingForms,
  lengthMin,
  type Means,
  type PromiseForm,
  promiseForms,
  type Traits,
} from "./client_forms.ts";
import { type Attempt, ClientLog, type Intent, type Session } from "./client_log.ts";
import { payloadBytesMax } from "./content.ts";
import { ClientFlag, Head, Outcome, Phase } from "./ledger.ts";
import { sleep, type Stage } from "./player.ts";

/** The mean number of calls through one handle. */
const callsPerHandle = 3_000;
const maxDeliveriesMax = 3;

/** Ledgers have numbers in place of names. */
export const formNames: readonly string[] = [
  ...Object.keys(blockingForms),
  ...Object.keys(promiseForms),
];

/** Plays until the conductor or its ledger says that it is enough. */
export async function playClient(stage: Stage): Promise<void> {
  const player = new ClientPlayer(stage);
  stage.ledger.head.set(Head.outstandingMax, stage.part.outstandingMax);
  stage.setPhase(Phase.running);
  while (!stage.shouldFinish) await player.playHandle();
}

class ClientPlayer {
  readonly #stage: Stage;
  readonly #log: ClientLog;
  #blockingNames: readonly string[] = [];
  #promiseNames: readonly string[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#log = new ClientLog(stage);
  }

  #chooseForms(): void {
    const { part, isBrisk } = this.#stage;
    // While it blocks for a slot, the answers of its other calls could hold all of them for ever.
    const mayBlockForEver = part.mode === "sync";
    this.#blockingNames = namesOf(blockingForms).filter((name) =>
      (mayBlockForEver || !blockingForms[name]!.timesItself) &&
      !(isBrisk && blockingForms[name]!.dawdles)
    );
    this.#promiseNames = namesOf(promiseForms).filter((name) =>
      !(isBrisk && promiseForms[name]!.dawdles)
    );
  }

  /** Opens a handle, calls through it, and closes it. */
  async playHandle(): Promise<void> {
    const { part, random } = this.#stage;
    this.#stage.chooseTemper();
    this.#chooseForms();
    const session: Session = { isClosing: false };
    const client = part.mode === "sync" || random.chance(0.5)
      ? Client.open(part.target)
      : await Client.connect(part.target);
    const means: Means = { stage: this.#stage, client, log: this.#log };
    let calls = random.skewed(10, 2 * callsPerHandle);
    if (part.mode === "sync") {
      while (calls-- > 0 && !this.#stage.shouldFinish) this.#block(means, session);
      return this.#closeSync(means, session);
    }
    const open = new Set<Promise<void>>();
    while (calls-- > 0 && !this.#stage.shouldFinish) {
      const call = this.#begin(means, session);
      if (call) {
        open.add(call);
        call.finally(() => open.delete(call));
      }
      while (open.size >= part.outstandingMax) await Promise.race(open);
      // The conductor's commands and the other calls have their turn in between.
      if (random.chance(0.01)) await sleep(0);
    }
    // In mid-call or when all have ended.
    if (this.#stage.shouldFinish || random.chance(0.3)) await Promise.all(open);
    if (open.size > 0) this.#stage.ledger.head.add(Head.closes);
    session.isClosing = true;
    client.close();
    await Promise.all(open);
  }

  /** Null: it has ended already. */
  #begin(means: Means, session: Session): Promise<void> | null {
    const { part, random } = this.#stage;
    if (part.mode === "promise" || random.chance(0.7)) return this.#promise(means, session);
    this.#block(means, session);
    return null;
  }

  #block(means: Means, session: Session): void {
    this.#stage.beat();
    const name = this.#stage.random.pick(this.#blockingNames);
    const form: BlockingForm = blockingForms[name]!;
    const attempt = this.#log.begin(this.#intend(name, form), session);
    try {
      form.run(means, attempt);
    } catch (error) {
      this.#log.fail(attempt, error);
    }
  }

  async #promise(means: Means, session: Session): Promise<void> {
    this.#stage.beat();
    const name = this.#stage.random.pick(this.#promiseNames);
    const form: PromiseForm = promiseForms[name]!;
    const attempt = this.#log.begin(this.#intend(name, form), session);
    try {
      await form.run(means, attempt);
    } catch (error) {
      this.#log.fail(attempt, error);
    }
    this.#stage.beat();
  }

  #intend(name: string, form: Traits): Intent {
    const { random, part } = this.#stage;
    const flags = form.flags ?? 0;
    const posts = (flags & ClientFlag.posts) !== 0;
    // As in `#chooseForms`: the player must not wait for ever for a slot that it holds itself.
    const limit = part.mode === "mixed" && name in blockingForms ? 200 : undefined;
    const timeout = posts || form.timesItself ? undefined : this.#timeout() ?? limit;
    return {
      form: formNames.indexOf(name),
      length: Math.max(lengthMin(form), this.#length()),
      maxDeliveries: posts ? maxDeliveriesMax : random.between(1, maxDeliveriesMax),
      timeout,
      flags: flags | (timeout === undefined ? 0 : ClientFlag.hasTimeout),
    };
  }

  #timeout(): number | undefined {
    const { random, isBrisk } = this.#stage;
    if (isBrisk && random.chance(0.95)) return undefined;
    return random.weighted<() => number | undefined>([
      [() => undefined, 70],
      [() => 5_000, 10],
      [() => random.skewed(50, 5_000) / 1_000, 17],
      [() => 0, 3],
    ])();
  }

  #length(): number {
    const { random, isBrisk } = this.#stage;
    if (isBrisk && random.chance(0.95)) return random.between(12, 200);
    return random.weighted([
      [() => random.between(0, 11), 10],
      [() => random.between(12, 200), 65],
      [() => random.skewed(100, 10_000), 20],
      [() => random.skewed(4_000, payloadBytesMax), 5],
    ])();
  }

  /** Closes with a call in flight, which is how a blocking client can close in mid-call. */
  #closeSync({ client }: Means, session: Session): void {
    if (!this.#stage.shouldFinish && this.#stage.random.chance(0.7)) {
      const form: Traits = blockingForms.sendSync!;
      const attempt = this.#log.begin(this.#intend("sendSync", form), session);
      this.#closeUnder(client, attempt);
    } else {
      session.isClosing = true;
      client.close();
    }
  }

  #closeUnder(client: Client, attempt: Attempt): void {
    const { content, part, ledger } = this.#stage;
    const bytes = new Uint8Array(attempt.length);
    content.fillRequest(bytes, { client: part.id, number: attempt.number });
    try {
      const call = client.trySend(bytes, { maxDeliveries: attempt.maxDeliveries });
      attempt.session.isClosing = true;
      if (call) this.#log.identify(attempt, call.id);
      client.close();
      if (!call) return this.#log.end(attempt, Outcome.busy);
      ledger.head.add(Head.closes);
      call.getSync();
      this.#stage.note(`call ${attempt.number} goes on through a closed handle`);
    } catch (error) {
      this.#log.fail(attempt, error);
    }
  }
}

function namesOf(forms: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(forms);
}

/**
 * Starts children again when they end.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import { remark, textOf } from "../../base/guard.ts";
import { type Reason, TandemError } from "../../errors.ts";
import { later, now, timerMax } from "../../runtime/timers.ts";
import { coreOf, Node } from "../node.ts";
import { Intensity } from "./intensity.ts";
import type {
  Child,
  ChildHandle,
  ChildOptions,
  SupervisorOptions,
  SupervisorTerms,
} from "./options.ts";
import { supervisorTerms } from "./options.ts";
import { type Exit, type RunningChild, watchChild } from "./running_child.ts";

/** A child, as {@linkcode Supervisor.children} shows it. */
export interface ChildInfo {
  /** Its name. */
  readonly name: string;
  /** What `start` has returned; undefined while the child does not run. */
  readonly child: Child | undefined;
  /** How often it was started again. */
  readonly restarts: number;
}

/** A child at all times. */
class Place {
  readonly options: Required<ChildOptions>;
  running: RunningChild | null = null;
  starts = 0;
  /** It has ended for good. */
  isOver = false;

  constructor(options: Required<ChildOptions>) {
    this.options = options;
  }
}

interface ChildEnd {
  readonly place: Place;
  /** Null: its start has failed. */
  readonly running: RunningChild | null;
  /** It runs, and is to be started again. */
  readonly isRestart: boolean;
  readonly exit: Exit;
}

const nothing = (): void => {};

/**
 * Starts children, and starts them again when they end: ports of this process, ports of any node, and all that has a
 * promise `finished` and a method `close()`, such as services and other supervisors.
 *
 * A child whose `start` throws has ended abnormally. When children end too often (`intensity`), the supervisor stops
 * all of them and gives up: `finished` rejects, and the console says so.
 *
 * @example A counter that comes back
 * ```ts
 * import { Node, type Port, Supervisor } from "@tandem/ipc/node";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using node = await Node.start({ name: "docs" });
 * const started: Port[] = [];
 * const start = (): Port => {
 *   let total = 0;
 *   const port = node.port({ add: (n: number) => total += n });
 *   started.push(port);
 *   return port;
 * };
 * await using supervisor = new Supervisor(node, { children: [{ name: "counter", start }] });
 * await supervisor.ready;
 *
 * started[0]!.kill("for the example");
 * while (started.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
 * assert(started[0]!.id !== started[1]!.id);
 * assertEquals(await node.at(started[1]!.id).add(1), 1);
 * ```
 */
export class Supervisor implements AsyncDisposable, ChildHandle {
  /** Resolves when all children have been started for the first time. */
  readonly ready: Promise<void>;
  /** Resolves when the supervisor is closed; rejects if it gives up. */
  readonly finished: Promise<void>;
  readonly #node: Node;
  readonly #terms: SupervisorTerms;
  readonly #intensity: Intensity;
  readonly #places: readonly Place[];
  readonly #ends: ChildEnd[] = [];
  readonly #nodeWatch: Disposable;
  #isClosing = false;
  #wake: () => void = nothing;

  /**
   * Starts the children.
   *
   * @param node watches the children that are ports
   * @throws {TypeError} {RangeError} for wrong options
   * @throws {TandemError} `CLOSED`
   */
  constructor(node: Node, options: SupervisorOptions) {
    if (!(node instanceof Node)) {
      throw new TypeError(`Cannot supervise with ${describe(node)}: give a node`);
    }
    this.#terms = supervisorTerms(options);
    this.#intensity = new Intensity(this.#terms);
    this.#places = this.#terms.children.map((child) => new Place(child));
    this.#node = node;
    // The node ends its ports: that is no reason to start them again.
    this.#nodeWatch = coreOf(node).onClose(() => this.close());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.finished = this.#run(resolve);
    this.finished.then(
      () =>
        reject(new TandemError("CLOSED", "Cannot start the children: the supervisor was closed")),
      reject,
    );
    for (const unwatched of [this.ready, this.finished]) unwatched.catch(nothing);
  }

  /** The children, in the order of their start. */
  children(): ChildInfo[] {
    return this.#places.map(({ options: { name }, running, starts }) => ({
      name,
      child: running?.child,
      restarts: Math.max(0, starts - 1),
    }));
  }

  /**
   * Stops a child and starts it again, and with it those that `strategy` says. Also starts one that has ended for
   * good. Counts as a restart.
   *
   * @throws {TypeError} if there is no such child
   */
  restart(name: string): void {
    const place = this.#places.find(({ options }) => options.name === name);
    if (!place) {
      const names = this.#places.map(({ options }) => JSON.stringify(options.name)).join(", ");
      throw new TypeError(`Cannot restart ${describe(name)}: the children are ${names || "none"}`);
    }
    place.isOver = false;
    const exit = { isNormal: false, text: "it was to be started again" };
    this.#tell({ place, running: place.running, isRestart: true, exit });
  }

  /** Stops the children, in the reverse order of their start. */
  async close(): Promise<void> {
    this.#beginClosing();
    await this.finished.catch(nothing);
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #beginClosing(): void {
    this.#isClosing = true;
    this.#wake();
  }

  #tell(end: ChildEnd): void {
    this.#ends.push(end);
    this.#wake();
  }

  async #run(ready: () => void): Promise<void> {
    try {
      await this.#start(this.#places);
      while (!this.#isClosing) {
        if (this.#ends.length > 0) await this.#childEnded(this.#ends.shift()!);
        else {
          if (this.#places.every(({ running, isOver }) => running || isOver)) ready();
          await this.#change();
        }
      }
    } catch (error) {
      remark(textOf(error));
      throw error;
    } finally {
      this.#nodeWatch[Symbol.dispose]();
      await this.#stop(this.#places);
    }
  }

  /** Resolves when something has happened, or after so many milliseconds. */
  async #change(milliseconds?: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = milliseconds === undefined ? nothing : later(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = nothing;
  }

  async #childEnded({ place, running, isRestart, exit }: ChildEnd): Promise<void> {
    // It has been stopped, and perhaps started again, since.
    if (place.running !== running || place.isOver) return;
    const { restart } = place.options;
    if (!isRestart) {
      place.running = null;
      place.isOver = restart === "temporary" || (restart === "transient" && exit.isNormal);
      if (place.isOver) return;
    }
    if (!this.#intensity.allow(now())) throw this.#gaveUp(place, exit);
    const affected = this.#affected(place);
    await this.#stop(affected);
    await this.#pause(this.#intensity.pause);
    const again = affected.filter((other) => {
      if (other !== place && other.options.restart === "temporary") other.isOver = true;
      return !other.isOver;
    });
    await this.#start(again);
  }

  #affected(place: Place): readonly Place[] {
    switch (this.#terms.strategy) {
      case "one-for-one":
        return [place];
      case "one-for-all":
        return this.#places;
      case "rest-for-one":
        return this.#places.slice(this.#places.indexOf(place));
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    const end = now() + milliseconds;
    // Children that end meanwhile wake it.
    for (let left = milliseconds; left > 0 && !this.#isClosing; left = end - now()) {
      await this.#change(Math.min(left, timerMax));
    }
  }

  async #start(places: readonly Place[]): Promise<void> {
    for (const place of places) {
      if (this.#isClosing) return;
      if (await this.#startOne(place) || this.#terms.strategy === "one-for-one") continue;
      // Those after it start when it does.
      return;
    }
  }

  async #startOne(place: Place): Promise<boolean> {
    place.starts += 1;
    try {
      const child = await place.options.start();
      const running: RunningChild = watchChild(
        this.#node,
        child,
        this.#terms.stopTimeout,
        (exit) => this.#tell({ place, running, isRestart: false, exit }),
      );
      place.running = running;
      return true;
    } catch (error) {
      place.running = null;
      const exit = { isNormal: false, text: textOf(error) };
      this.#tell({ place, running: null, isRestart: false, exit });
      return false;
    }
  }

  async #stop(places: readonly Place[]): Promise<void> {
    for (const place of places.toReversed()) {
      const { running } = place;
      place.running = null;
      await running?.stop();
    }
  }

  #gaveUp(place: Place, exit: Exit): TandemError {
    const { restarts, within } = this.#terms;
    const error = new TandemError(
      "PORT_DIED",
      `The supervisor gives up: children have ended more than ${restarts} times within ${within} ms, at last ` +
        `${place.options.name} (${exit.text}); see why, or raise intensity`,
    );
    const reason: Reason | undefined = exit.reason;
    if (reason) error.reason = reason;
    return error;
  }
}

/**
 * One channel with its survivors, and the conditions that hold for both after a death.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Client, type SendOptions, Server, type Stats } from "../../../mod.ts";
import { bellsOf } from "../../support/bells.ts";
import { eventually } from "../../support/processes.ts";
import { Actor } from "./actor.ts";
import type { Outcome } from "./client.ts";
import { type Cast, SurvivingClient, SurvivingServer } from "./survivors.ts";

/** Few, so that they run out; long enough for payloads outside the slot's head. */
export const options = {
  slots: 8,
  maxRequestBytes: 16_384,
  maxResponseBytes: 16_384,
  maxDeliveries: 3,
} as const;

/** The same, in the actor's form. */
export const sizes: string = `${options.slots} ${options.maxRequestBytes} ${options.maxDeliveries}`;

/** A request whose end is checked. */
interface Started {
  readonly client: SurvivingClient;
  readonly key: string;
  readonly allowed: readonly Outcome[];
  isOver: boolean;
}

/** Requests of {@linkcode SurvivingClient.check}. */
const checkedRequests = 4;

/** The stage for one cast, on which many victims die. */
export class Scene {
  readonly cast: Cast;
  readonly folder: string;
  readonly servers: readonly SurvivingServer[];
  readonly clients: readonly SurvivingClient[];
  readonly #bystandingServers: readonly SurvivingServer[];
  readonly #bystandingClients: readonly SurvivingClient[];
  readonly #env: Readonly<Record<string, string>>;
  #actors: Actor[] = [];
  #channels = 0;
  #target = "";
  /** Reads the channel's numbers, and neither waits nor repairs. */
  #watcher: Client | null = null;
  #started: Started[] = [];
  #blocked: Promise<void>[] = [];
  /** The scene posted requests to wake a participant, and an unknown number of them was needed. */
  #hasSurplus = false;
  #isServing = false;
  #isStopped = false;

  private constructor(cast: Cast, folder: string) {
    this.cast = cast;
    this.folder = folder;
    this.#env = { TANDEM_DIR: this.home, NO_COLOR: "1" };
    this.servers = cast.servers.map((runtime) => new SurvivingServer(runtime, this.#env));
    this.clients = cast.clients.map((runtime) => new SurvivingClient(runtime, this.#env));
    this.#bystandingServers = cast.bystanders.map((name) => new SurvivingServer(name, this.#env));
    this.#bystandingClients = cast.bystanders.map((name) => new SurvivingClient(name, this.#env));
  }

  static async create(cast: Cast, parent: string): Promise<Scene> {
    const scene = new Scene(cast, mkdtempSync(join(parent, "tandem-crash-")));
    await Promise.all(scene.#survivors.map((survivor) => survivor.greeting()));
    return scene;
  }

  get #survivors(): readonly (SurvivingServer | SurvivingClient)[] {
    return [...this.#active, ...this.#bystandingServers, ...this.#bystandingClients];
  }

  get #active(): readonly (SurvivingServer | SurvivingClient)[] {
    return [...this.servers, ...this.clients];
  }

  /** The folder of channels with a name. */
  get home(): string {
    return join(this.folder, "home");
  }

  get target(): string {
    return this.#target;
  }

  /** One of the clients; a small cast may have fewer than a scene names. */
  client(index: number): SurvivingClient {
    return this.clients[index % this.clients.length]!;
  }

  server(index: number): SurvivingServer {
    return this.servers[index % this.servers.length]!;
  }

  // ---- the channel ----

  /** The path of the next channel, which does not exist yet. */
  newTarget(): string {
    this.#channels += 1;
    this.#target = join(this.folder, `channel-${this.#channels}.tandem`);
    return this.#target;
  }

  /** The next channel gets this name. */
  useName(name: string): void {
    this.#target = name;
  }

  /** The survivors open the channel, and the first of them creates it unless it is there. */
  async open(): Promise<void> {
    for (const survivor of this.#survivors) await survivor.open(this.#target, options);
    await this.serve();
    await Promise.all(this.#bystandingServers.map((server) => server.tell("serve")));
    this.#watcher = Client.open(this.#filePath);
    await this.#stopBystanders();
  }

  async #leave(): Promise<void> {
    for (const survivor of this.#survivors) survivor.resume();
    await Promise.all(this.#survivors.map((survivor) => survivor.close()));
    this.#watcher?.close();
    this.#watcher = null;
  }

  /** The survivors leave and come back. */
  async reopen(): Promise<void> {
    await this.#leave();
    await this.open();
  }

  /** A newcomer opens the channel, and looks for the dead. */
  newcomer(): void {
    this.#watcher?.close();
    this.#watcher = Client.open(this.#filePath);
  }

  /** The survivors leave; only the channel's file may stay. */
  async close(): Promise<void> {
    await this.#leave();
    assertEquals(this.#files(), [this.#fileName], "files beside the channel when all have left");
    assertEquals(Server.unlink(this.#filePath), true);
    assertEquals(this.#files(), []);
  }

  get isOpen(): boolean {
    return this.#watcher !== null;
  }

  get #filePath(): string {
    if (this.#target.includes("/")) return this.#target;
    return join(this.home, `${this.#target}.tandem`);
  }

  get #fileName(): string {
    return this.#filePath.slice(this.folder.length + 1);
  }

  #files(): string[] {
    const found = readdirSync(this.folder, { recursive: true }) as string[];
    return found.filter((name) => name !== "home").sort();
  }

  /** @throws when anything is left among the channels with a name */
  checkHome(): void {
    assertEquals(readdirSync(this.home), []);
  }

  /** As if no participant had ever used a name. */
  forgetHome(): void {
    rmSync(this.home, { recursive: true, force: true });
  }

  makeHome(): void {
    mkdirSync(this.home, { mode: 0o700, recursive: true });
  }

  // ---- staging ----

  /** Another process like the victim. */
  actor(): Actor {
    const actor = new Actor(this.#env, this.#target);
    this.#actors.push(actor);
    return actor;
  }

  /** An actor whose handle 0 is on the channel. */
  async joined(role: "client" | "server"): Promise<Actor> {
    const actor = this.actor();
    await actor.expect(`open 0 ${role} attach TARGET`, 0);
    // Clears what a death during sleep may have left to the next owner of the entry: every victim
    // starts from the same state.
    await actor.expect("get-up 0", 0);
    return actor;
  }

  /** As when a user tidies up: from now on no participant can ring another one by path. */
  removeBells(): void {
    rmSync(`${this.#filePath}.bells`, { recursive: true });
  }

  /** The same for the channel's file as well. */
  removeFiles(): void {
    this.removeBells();
    rmSync(this.#filePath);
  }

  /** Servers take no requests from now on. */
  async rest(): Promise<void> {
    this.#isServing = false;
    await this.#tellServers("rest");
  }

  async serve(): Promise<void> {
    this.#isServing = true;
    await this.#tellServers("serve");
  }

  /** Servers answer the requests that they hold. */
  async finish(): Promise<void> {
    await this.#tellServers("finish");
  }

  async #tellServers(op: "serve" | "rest" | "finish"): Promise<void> {
    await Promise.all(this.servers.map((server) => server.tell(op)));
  }

  /** A request of a survivor, with its permitted ends. */
  async start(
    index: number,
    payload: number | string,
    send: SendOptions,
    ...allowed: readonly Outcome[]
  ): Promise<{ readonly id: bigint; cancel(): Promise<void> }> {
    const client = this.client(index);
    const started = this.#note(client, allowed);
    const id = await client.start(started.key, payload, send);
    const cancel = async () => {
      await client.cancel(started.key);
      started.isOver = true;
    };
    return { id, cancel };
  }

  /** Like {@linkcode start}, for a request that has to wait for a slot. */
  async startWaiting(
    index: number,
    payload: number,
    ...allowed: readonly Outcome[]
  ): Promise<void> {
    const client = this.client(index);
    await client.startWaiting(this.#note(client, allowed).key, payload);
  }

  /** Like {@linkcode start}, for a client that blocks in the call and takes no other command. */
  async startBlocking(
    index: number,
    payload: number,
    ...allowed: readonly Outcome[]
  ): Promise<void> {
    const client = this.client(index);
    await client.startBlocking(this.#note(client, allowed).key, payload);
  }

  #note(client: SurvivingClient, allowed: readonly Outcome[]): Started {
    const key = `request ${this.#started.length}`;
    const started: Started = { client, key, allowed, isOver: false };
    this.#started.push(started);
    return started;
  }

  /** A server blocks in a wait for one request. */
  block(server: SurvivingServer): void {
    this.#blocked.push(server.take());
  }

  /** Waits until the channel has these numbers. */
  async until(wanted: Partial<Stats>): Promise<void> {
    await this.#untilNumbers((stats) => isSo(stats, wanted), JSON.stringify(wanted));
  }

  async #untilNumbers(condition: (stats: Stats) => boolean, what: string): Promise<void> {
    const watcher = this.#watcher;
    assert(watcher, "no channel is open");
    await eventually(() => condition(watcher.stats()), `the numbers become ${what}`).catch(
      (error) => {
        throw new Error(`${error.message}; they are ${JSON.stringify(watcher.stats())}`);
      },
    );
  }

  /** Stops all survivors in their sleep, so that only the victim acts. */
  async stopAll(): Promise<void> {
    while (!this.#isStopped) {
      if (this.isOpen) await this.asleep();
      this.#isStopped = true;
      await Promise.all(this.#survivors.map((survivor) => survivor.stop()));
      // A survivor may have been awake just then: a blocked one wakes for a moment every 50 ms.
      if (this.#watcher && !this.#sleep.isSo(this.#watcher.stats())) this.resume();
    }
  }

  /** Stops the bystanders. */
  async #stopBystanders(): Promise<void> {
    const bystanders = [...this.#bystandingServers, ...this.#bystandingClients];
    if (bystanders.length === 0) return;
    await this.until({ waitingServers: this.servers.length + this.#bystandingServers.length });
    await Promise.all(bystanders.map((survivor) => survivor.stop()));
  }

  /** The survivors go on, except the bystanders of an open channel. */
  resume(): void {
    this.#isStopped = false;
    for (const survivor of this.isOpen ? this.#active : this.#survivors) survivor.resume();
  }

  /**
   * Waits until every waiting survivor sleeps. A bystander sleeps, or was rung and has not
   * noticed.
   */
  async asleep(): Promise<void> {
    const { isSo, what } = this.#sleep;
    await this.#untilNumbers(isSo, what);
  }

  /** The channel's numbers then. */
  get #sleep(): { readonly what: string; isSo(stats: Stats): boolean } {
    const servers = this.#blocked.length + (this.#isServing ? this.servers.length : 0);
    const most = servers + this.#bystandingServers.length;
    const calling = this.#started.filter(({ isOver }) => !isOver).map(({ client }) => client);
    const clients = new Set(calling).size;
    return {
      what: `${servers} servers and ${clients} clients asleep`,
      isSo: ({ waitingServers, waitingClients }) =>
        waitingServers >= servers && waitingServers <= most && waitingClients === clients,
    };
  }

  // ---- after a death ----

  /** All requests that survivors had begun have to end as expected. */
  async settle(): Promise<void> {
    for (const actor of this.#actors) await actor.kill();
    this.#actors = [];
    await this.#checkBlocked();
    if (!this.isOpen) return;
    await this.serve();
    await this.finish();
    await this.#checkStarted();
  }

  /** Posts a request for each server that blocks for one and has not had it yet. */
  async #checkBlocked(): Promise<void> {
    if (this.#blocked.length === 0) return;
    const blocked = Promise.all(this.#blocked);
    this.#blocked = [];
    let isDone = false;
    blocked.then(() => isDone = true, () => isDone = true);
    await eventually(async () => {
      if (isDone) return true;
      await this.client(0).post(12);
      this.#hasSurplus = true;
      return isDone;
    }, "a blocked server takes a request");
    await blocked;
  }

  async #checkStarted(): Promise<void> {
    const started = this.#started;
    this.#started = [];
    for (const { client, key, allowed } of started) {
      const outcome = await client.outcome(key);
      const wanted = allowed.join(" or ");
      assert(allowed.includes(outcome), `${key} of ${client.runtime}: ${outcome}, not ${wanted}`);
    }
  }

  /**
   * The conditions that hold after every death. Returns the number of posted requests that were
   * delivered; null: unknown.
   */
  async verify(): Promise<number | null> {
    const { servers, clients } = this;
    const living = {
      servers: servers.length + this.#bystandingServers.length,
      clients: clients.length + this.#bystandingClients.length + 1,
    };
    await this.until({ ...living, inFlight: 0, queued: 0, waitingClients: 0 });
    const before = await this.#handled();
    for (const server of servers) {
      for (const other of servers) await other.tell(other === server ? "serve" : "rest");
      const right = await Promise.all(clients.map((client) => client.check()));
      assertEquals(right, clients.map(() => checkedRequests), `with ${server.runtime} serving`);
    }
    await this.serve();
    const served = await this.#handled();
    assertEquals(served.length, servers.length * clients.length * checkedRequests);
    for (const client of clients) assertEquals(await client.slots(), options.slots, "slots");
    await this.until({ ...living, inFlight: 0, queued: 0, waitingClients: 0 });
    await this.#checkBells(living.servers + living.clients);
    const isKnown = !this.#hasSurplus;
    this.#hasSurplus = false;
    return isKnown ? before.filter(({ oneWay }) => oneWay).length : null;
  }

  /** Every request that the surviving servers got, each of them once. */
  async #handled(): Promise<readonly { readonly oneWay: boolean }[]> {
    const lists = await Promise.all(this.servers.map((server) => server.handled()));
    const handled = lists.flat();
    const ids = new Set(handled.map(({ id }) => id));
    assertEquals(ids.size, handled.length, `handed out twice: ${JSON.stringify(handled)}`);
    for (const { deliveries } of handled) {
      assert(deliveries >= 1 && deliveries <= options.maxDeliveries, `delivery ${deliveries}`);
    }
    return handled;
  }

  /** Only the bells of living participants lie beside the channel. */
  async #checkBells(living: number): Promise<void> {
    await eventually(() => {
      const owners = new Set(bellsOf(this.#filePath).map((path) => basename(path).slice(1)));
      return owners.size === living;
    }, "the bells of the dead go").catch((error) => {
      const bells = bellsOf(this.#filePath).join(", ");
      throw new Error(`${error.message}: ${living} live, but there is ${bells}`);
    });
  }

  async end(): Promise<void> {
    this.#watcher?.close();
    await Promise.all([
      ...this.#actors.map((actor) => actor.kill()),
      ...this.#survivors.map((survivor) => survivor.end()),
    ]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** For a failure: the output of all processes. */
  describe(): string {
    return this.#survivors.map((survivor) => survivor.process.describe()).join("\n");
  }
}

function isSo(found: Partial<Stats>, wanted: Partial<Stats>): boolean {
  return Object.entries(wanted).every(([name, value]) => found[name as keyof Stats] === value);
}

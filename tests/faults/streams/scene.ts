/**
 * Nodes in a simulated world, what their programs do, what may go wrong, and what has to hold.
 *
 * @module
 */
import type { CarrierListener, NodeInfo } from "../../../src/node/carrier.ts";
import type { FarNodes } from "../../../src/nats/nodes/far_nodes.ts";
import type { Hall } from "../../../src/node/hall/hall.ts";
import type { LinkTerms } from "../../../src/nats/link.ts";
import type { Sources } from "./build.ts";
import { Digest } from "./digest.ts";
import { type Post, Process, type Timer, Violation, type Wire, World } from "./world.ts";

/** One thing that a program does. */
export type Op =
  /** Joins with an id. `after`: when the process with that number is dead, as one that has its id. */
  | { readonly do: "join"; readonly id: string; readonly after?: number }
  /** Sends a numbered message to the node with an id, if that is up. */
  | { readonly do: "send"; readonly to: string; readonly bytes?: number }
  | { readonly do: "publish" }
  /** Reads all boards, as the registry does. */
  | { readonly do: "read" }
  | { readonly do: "close" };

export interface Configuration {
  readonly name: string;
  /** What each process does. */
  readonly programs: readonly (readonly Op[])[];
  /** The first operation of each is done before anything else. */
  readonly isJoined?: boolean;
  /** How many processes may be killed, and which. */
  readonly kills?: number;
  readonly mortal?: readonly number[];
  /** The nodes share no memory, but a network. They are joined, and are not killed. */
  readonly isFar?: boolean;
  /** How many posts may vanish from mailboxes, as when another process scribbles over them; or frames from the network. */
  readonly losses?: number;
  /** How many frames may come twice. */
  readonly copies?: number;
  /** How many posts fit into a mailbox. */
  readonly capacity?: number;
  readonly maxQueue?: number;
  /** How many timers may fire while there is something else to do. */
  readonly timers?: number;
}

/** A step that may come next. */
export interface Step {
  readonly label: string;
  run(): void;
}

const windowMax = 4;
/** Timers that bound something, and do not come before what they bound has ended if it can. */
const boundingMilliseconds = 1_000;
/** After so many rounds of timers alone, nothing will happen any more. */
const idleRounds = 16;

/** What one node was told of another process's node. */
interface Known {
  state: "up" | "down";
  /** The last number that came. */
  last: number;
  /** Messages may be missing before the next one. */
  isCut: boolean;
  cuts: number;
}

/** A process with its program and its node. */
class Actor implements CarrierListener {
  readonly simKey: string;
  readonly process: Process;
  readonly scene: Scene;
  readonly program: readonly Op[];
  next = 0;
  hall: Hall | FarNodes | null = null;
  id = "";
  isClosing = false;
  hasLeft = false;
  published = 0;
  /** How many messages were given to the hall for each other id, by now. */
  readonly sent: Map<string, number> = new Map();
  readonly known: Map<string, Known> = new Map();
  /** What is on the boards of others. */
  readonly boards: Map<string, string> = new Map();

  constructor(scene: Scene, number: number, program: readonly Op[]) {
    this.scene = scene;
    this.simKey = `actor ${number}`;
    this.process = new Process(scene.world, number);
    this.program = program;
  }

  /** Of its board. */
  get version(): string {
    return `p${this.process.number}v${this.published}`;
  }

  get lives(): boolean {
    return this.hall !== null && !this.process.isDead && !this.hasLeft;
  }

  #fail(text: string): void {
    this.scene.fail(`${this.id} ${text}`);
  }

  up({ id, name }: NodeInfo): void {
    if (this.known.get(id)?.state === "up") this.#fail(`hears twice that ${id} is up`);
    if (!this.scene.actors.some((each) => each.id === id && `${each.process.number}` === name)) {
      this.#fail(`hears of ${id}, whose name is ${name}`);
    }
    this.known.set(id, { state: "up", last: 0, isCut: false, cuts: 0 });
  }

  received(id: string, message: Uint8Array): void {
    const known = this.known.get(id);
    const words = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const [sender, number] = [words.getUint8(0), words.getUint8(1)];
    for (let at = 2; at < message.byteLength; at++) {
      if (message[at] !== number) return this.#fail("gets a message that was put together wrongly");
    }
    if (known?.state !== "up") return this.#fail(`gets a message of ${id}, which is not up`);
    const process = this.scene.actors[sender];
    if (process?.id !== id) return this.#fail(`gets a message of ${id} that another has sent`);
    if (number <= known.last) this.#fail(`gets ${number} of ${id} after ${known.last}`);
    if (number !== known.last + 1 && !known.isCut) {
      this.#fail(`gets ${number} of ${id} after ${known.last}, and nobody has told of a loss`);
    }
    known.isCut = false;
    known.last = number;
  }

  down({ id, name }: NodeInfo, farewell: boolean, message: string): void {
    const known = this.known.get(id);
    if (known?.state !== "up") return this.#fail(`hears that ${id} is down, which is not up`);
    known.state = "down";
    const other = this.scene.actors.find((each) => `${each.process.number}` === name)!;
    if (!other.process.isDead && !other.isClosing) {
      this.#fail(`hears that ${id} is down, which lives`);
    }
    if (farewell !== (other.isClosing && !other.process.isDead)) {
      this.#fail(`hears ${farewell ? "a" : "no"} farewell of ${id}`);
    }
    const sent = other.sent.get(this.id) ?? 0;
    if (farewell && known.last !== sent && !known.isCut) {
      this.#fail(`hears the farewell of ${id} after ${known.last} of ${sent} messages`);
    }
    const rest = this.process.mailbox!.posts.filter(({ poster }) =>
      poster.process === other.process
    );
    // A successor has come before the kernel has let go of the mailbox: the half post was not sent, then.
    const isEarly = message.includes("another has its id");
    if (rest.some((post) => hasMessages(post) && !(isEarly && post.isHalf))) {
      this.#fail(`hears that ${id} is down before its last messages`);
    }
  }

  lost({ id }: NodeInfo): void {
    const known = this.known.get(id);
    if (known?.state !== "up") return this.#fail(`hears of a loss of ${id}, which is not up`);
    known.isCut = true;
    known.cuts += 1;
  }

  get mayGoOn(): boolean {
    const op = this.program[this.next];
    if (op === undefined || this.process.isDead || this.isClosing) return false;
    if (op.do !== "join") return this.hall !== null;
    return op.after === undefined || this.scene.actors[op.after]!.process.isDead;
  }

  /** Does the next thing of its program. */
  goOn(): void {
    const op = this.program[this.next]!;
    this.next += 1;
    const { hall, process: { number } } = this;
    switch (op.do) {
      case "join":
        this.id = op.id;
        this.hall = this.scene.join(this, op.id, number);
        return;
      case "send": {
        const sent = (this.sent.get(op.to) ?? 0) + 1;
        const message = new Uint8Array(op.bytes ?? 3).fill(sent);
        message[0] = number;
        if (hall!.send(op.to, message)) this.sent.set(op.to, sent);
        return;
      }
      case "publish":
        this.published += 1;
        hall!.boards.publish(this.scene.boardOf(this));
        return;
      case "read":
        return this.readBoards();
      case "close":
        this.isClosing = true;
        void hall!.close().then(() => this.hasLeft = true);
    }
  }

  /** Looks at the boards, as the registry does. */
  readBoards(): void {
    for (const { board, bytes } of this.hall!.boards.changes()) {
      if (bytes === null) this.boards.delete(board);
      else this.boards.set(board, this.scene.versionOn(bytes));
    }
  }
}

/** Whether a post has messages that count; heads alone have none. */
function hasMessages({ bytes, isHalf }: Post): boolean {
  return !isHalf ? bytes.byteLength > 32 && sequenceOf(bytes) !== 0 : true;
}

function sequenceOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(20, true);
}

export class Scene {
  readonly world: World;
  readonly actors: readonly Actor[];
  readonly #sources: Sources;
  readonly #configuration: Configuration;
  /** Nothing happens any more. */
  isSettled = false;
  #kills = 0;
  #losses = 0;
  #copies = 0;
  /** The post that has vanished; `isFollowed`: its receiver has taken another one of its sender since. */
  #hole: { readonly post: Post; isFollowed: boolean } | null = null;
  /** How many timers came before all else: few, because they give the kernel time to take a dead process apart. */
  #early = 0;

  constructor(sources: Sources, configuration: Configuration) {
    this.#sources = sources;
    this.#configuration = configuration;
    this.world = new World(configuration.capacity ?? 64);
    this.actors = configuration.programs.map((program, at) => new Actor(this, at, program));
    this.world.processes.push(...this.actors.map(({ process }) => process));
    if (configuration.isFar) this.#meetFar();
    if (!configuration.isJoined) return;
    for (const actor of this.actors) if (actor.mayGoOn) actor.process.run(() => actor.goOn());
    for (let rung = true; rung;) {
      rung = false;
      for (const step of this.steps()) {
        if (!/ is rung$| is there$/.test(step.label)) continue;
        step.run();
        rung = true;
        break;
      }
    }
  }

  #meetFar(): void {
    const { processes, wires } = this.world;
    for (const from of processes) {
      for (const to of processes) if (from !== to) wires.push({ from, to, frames: [] });
    }
    for (const actor of this.actors) actor.process.run(() => actor.goOn());
    this.#pump(4);
  }

  /** Timers fire, and all frames come. */
  #pump(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      for (const { process, timer } of this.#timers()) this.#fire(process, timer);
      for (let wire = this.#fullWire(); wire; wire = this.#fullWire()) {
        this.#deliver(wire);
        this.check();
      }
    }
  }

  #fullWire(): Wire | undefined {
    return this.world.wires.find(({ frames }) => frames.length > 0);
  }

  #deliver({ to, frames }: Wire): void {
    const frame = frames.shift()!;
    to.run(() => to.link!.take(frame));
  }

  fail(text: string): void {
    this.world.violation ??= new Violation(text);
  }

  join(actor: Actor, id: string, number: number): Hall | FarNodes {
    if (this.#configuration.isFar) return this.#joinFar(actor, id, number);
    return new this.#sources.Hall(
      {
        group: "g",
        identity: { id, name: `${number}`, start: actor.version },
        isChosenId: false,
        maxQueue: this.#configuration.maxQueue ?? Infinity,
        maxQueueBytes: 2 ** 24,
        maxMessageBytes: 2 ** 24,
      },
      actor,
      { left() {}, removed() {} },
    );
  }

  #joinFar(actor: Actor, id: string, number: number): FarNodes {
    const far = new this.#sources.FarNodes({
      network: {
        link: {} as LinkTerms,
        all: "all",
        mailboxOf: (node) => `to ${node}`,
        has: () => true,
      },
      info: { id, name: `${number}`, pid: 1000 + number, runtime: "bun" },
      board: this.boardOf(actor),
      heartbeat: { interval: 10, timeout: Infinity },
      maxQueueBytes: 2 ** 24,
      maxMessageBytes: 2 ** 24,
      isNear: () => false,
    }, actor);
    void far.join();
    return far;
  }

  boardOf({ id, version, process: { number } }: Actor): Uint8Array {
    return this.#sources.encodeBoard({ id, name: `${number}`, start: version }, []);
  }

  versionOn(board: Uint8Array): string {
    return this.#sources.readIdentity(board)?.start ?? "nothing";
  }

  /** All that may happen next. With those that need nobody's decision first. */
  steps(): Step[] {
    const steps: Step[] = [];
    const add = (label: string, run: () => void) => steps.push({ label, run });
    const { world } = this;
    for (const { first, process, lives } of world.table) {
      if (first === null || process === null || !lives) continue;
      add(
        `the board of process ${process.number} is there`,
        () => world.show(process.main!.entry, first),
      );
    }
    for (const actor of this.actors) {
      const { process } = actor;
      const name = `process ${process.number}`;
      const { main, mailbox } = process;
      if (process.isDead) {
        for (const [position, entry] of world.table.entries()) {
          if (entry.process === process) {
            add(`${name} is repaired at ${position}`, () => world.repair(entry));
          }
        }
        for (const other of world.processes) {
          for (const poster of other.mailbox?.posters ?? []) {
            if (poster.process !== process || !poster.lives || other.isDead) continue;
            add(`${name} lets go of the mailbox of ${other.number}`, () => poster.lives = false);
          }
        }
        continue;
      }
      if (main?.channel.isOpen && main.listener && main.heard !== main.news) {
        add(`${name} is rung`, () => {
          main.heard = main.news;
          process.run(main.listener!);
        });
      }
      if (mailbox?.taker && mailbox.hasPost) {
        add(`${name} takes a post`, () => {
          this.#follow(mailbox.posts.find(({ isHalf }) => !isHalf)!);
          process.run(() => mailbox.taker!.take(mailbox.tryReceive()!));
        });
      }
      if (actor.mayGoOn) {
        const op = actor.program[actor.next]!;
        add(`${name}: ${JSON.stringify(op)}`, () => process.run(() => actor.goOn()));
        if (op.do === "send" && this.#mayKill(process)) {
          add(`${name}: ${JSON.stringify(op)}, and dies in the middle of it`, () => {
            this.#kills += 1;
            process.diesInPost = true;
            process.run(() => actor.goOn());
            if (!process.isDead) world.kill(process);
          });
        }
      }
      if (this.#mayKill(process)) {
        add(`${name} is killed`, () => {
          this.#kills += 1;
          world.kill(process);
        });
      }
      if (mailbox?.hasPost && this.#losses < (this.#configuration.losses ?? 0)) {
        add(`a post to ${name} vanishes`, () => {
          this.#losses += 1;
          const at = mailbox.posts.findIndex(({ isHalf }) => !isHalf);
          const [post] = mailbox.posts.splice(at, 1) as [Post];
          if (sequenceOf(post.bytes) !== 0) this.#hole = { post, isFollowed: false };
        });
      }
    }
    for (const wire of world.wires) {
      const { from, to, frames } = wire;
      if (frames.length === 0) continue;
      const way = `from process ${from.number} to ${to.number}`;
      add(`a frame comes ${way}`, () => this.#deliver(wire));
      if (this.#losses < (this.#configuration.losses ?? 0)) {
        add(`a frame vanishes ${way}`, () => {
          this.#losses += 1;
          frames.shift();
        });
      }
      if (this.#copies < (this.#configuration.copies ?? 0)) {
        add(`a frame comes twice ${way}`, () => {
          this.#copies += 1;
          frames.push(frames[0]!);
        });
      }
    }
    if (!steps.some(({ label }) => isNeeded(label))) {
      steps.unshift({ label: "nothing but timers", run: () => this.#settle() });
      return steps;
    }
    if (this.#early >= (this.#configuration.timers ?? 1)) return steps;
    for (const { process, timer } of this.#timers()) {
      add(`process ${process.number}: a timer of ${timer.milliseconds} ms`, () => {
        this.#early += 1;
        this.#fire(process, timer);
      });
    }
    return steps;
  }

  #follow({ poster, bytes }: Post): void {
    const hole = this.#hole;
    if (hole?.post.poster === poster && sequenceOf(bytes) !== 0) hole.isFollowed = true;
  }

  #mayKill(process: Process): boolean {
    const { kills = 0, mortal } = this.#configuration;
    return this.#kills < kills && process.main !== null &&
      (mortal?.includes(process.number) ?? true);
  }

  #timers(): { process: Process; timer: Timer }[] {
    return this.world.processes.flatMap((process) =>
      [...process.timers].filter(({ milliseconds }) => milliseconds < boundingMilliseconds)
        .map((timer) => ({ process, timer }))
    );
  }

  #fire(process: Process, timer: Timer): void {
    process.timers.delete(timer);
    process.run(timer.callback);
  }

  /** What has to hold after each step. */
  check(): void {
    const { violation } = this.world;
    if (violation) throw violation;
    for (const { process: { mailbox }, id } of this.actors) {
      for (const { process } of mailbox?.posters ?? []) {
        const from = mailbox!.posts.filter(({ poster, bytes }) =>
          poster.process === process && sequenceOf(bytes) !== 0
        );
        if (from.length > windowMax) {
          throw new Violation(`${from.length} batches of one wait for ${id}`);
        }
      }
    }
    const { maxQueue = Infinity } = this.#configuration;
    for (const { hall, sent, lives } of this.actors) {
      if (!lives) continue;
      for (const to of sent.keys()) {
        const { messages } = hall!.queued(to);
        if (messages > maxQueue) throw new Violation(`${messages} messages wait for ${to}`);
      }
    }
  }

  /** Lets timers fire until there is something to do, or they change nothing. What has to hold then is checked. */
  #settle(): void {
    if (this.#configuration.isFar) {
      this.#pump(idleRounds);
      this.#checkEnd();
      this.isSettled = true;
      return;
    }
    for (let round = 0; round < idleRounds; round++) {
      if (this.steps().some(({ label }) => isNeeded(label))) return;
      const timers = this.#timers();
      if (timers.length === 0) break;
      for (const { process, timer } of timers) {
        if (process.timers.has(timer)) this.#fire(process, timer);
        this.check();
      }
    }
    // What was bounded has not ended.
    for (const { process, isClosing } of this.actors) {
      if (isClosing && process.timers.size > 0) {
        throw new Violation("a node that leaves does not get rid of its farewell");
      }
    }
    this.#checkEnd();
    this.isSettled = true;
  }

  #checkEnd(): void {
    const living = this.actors.filter(({ lives, isClosing }) => lives && !isClosing);
    for (const actor of living) {
      const { id, hall, known } = actor;
      const others = living.filter((each) => each !== actor);
      const seen = hall!.nodes().map((node) => node.id).toSorted().join();
      const wanted = others.map((each) => each.id).toSorted().join();
      if (seen !== wanted) throw new Violation(`${id} sees ${seen || "nobody"}, not ${wanted}`);
      for (const [other, { state }] of known) {
        if ((state === "up") !== others.some((each) => each.id === other)) {
          throw new Violation(`${id} was told last that ${other} is ${state}`);
        }
      }
      for (const other of others) this.#checkStream(other, actor);
      actor.readBoards();
      const boards = [...actor.boards.values()].toSorted().join();
      const published = others.map(({ version }) => version).toSorted().join();
      if (boards !== published) {
        throw new Violation(`${id} reads the boards ${boards}, not ${published}`);
      }
    }
  }

  #checkStream(from: Actor, to: Actor): void {
    const waiting = from.hall!.queued(to.id);
    if (waiting.messages > 0) {
      throw new Violation(`${waiting.messages} messages of ${from.id} to ${to.id} wait for ever`);
    }
    const known = to.known.get(from.id)!;
    const sent = from.sent.get(to.id) ?? 0;
    const isOfHole = this.#hole?.post.poster.process === from.process;
    if (isOfHole && this.#hole!.isFollowed && known.cuts === 0) {
      throw new Violation(`${to.id} does not hear that it misses messages of ${from.id}`);
    }
    const { cuts } = from.known.get(to.id)!;
    if ((known.cuts > 0) !== (cuts > 0)) {
      throw new Violation(`of ${from.id} and ${to.id}, only one hears that messages are lost`);
    }
    if (this.#configuration.isFar && known.cuts > this.#losses + this.#copies) {
      throw new Violation(`${to.id} hears of more losses than there were`);
    }
    // In memory, nobody notices that the last posts have vanished.
    if (known.last !== sent && !isOfHole && !known.isCut) {
      throw new Violation(`${to.id} has ${known.last} of ${sent} messages of ${from.id}`);
    }
  }

  get digest(): string {
    const digest = new Digest();
    const { table, joins, departures, boards } = this.world;
    digest.add([joins, departures, boards, this.#kills, this.#losses, this.#early]);
    digest.add([
      this.#copies,
      ...this.world.wires.flatMap(({ frames }) => frames.map(({ data }) => data)),
    ]);
    digest.add([this.#hole?.isFollowed, this.#hole?.post.poster.process.number]);
    for (const { epoch, process, lives, boards, first } of table) {
      digest.add([epoch, process?.number, lives, boards, first !== null]);
    }
    for (const { process, next, isClosing, hasLeft, sent, known, hall } of this.actors) {
      const { isDead, timers, mailbox, main } = process;
      digest.add([isDead, next, isClosing, hasLeft, main?.heard, main?.follows]);
      for (const post of mailbox?.posts ?? []) {
        digest.add([post.poster.process.number, post.poster.position, post.isHalf, post.bytes]);
      }
      digest.add(mailbox?.posters.map(({ process, lives }) => `${process.number}${lives}`).join());
      digest.add([mailbox?.isRemoved]);
      if (isDead) continue;
      digest.add([...timers].map(({ milliseconds }) => milliseconds));
      digest.add([sent, known]);
      digest.add(hall);
    }
    return digest.text;
  }
}

/** A step that comes whatever the explorer wants. */
function isNeeded(label: string): boolean {
  return !/killed|vanishes|twice|dies|timer/.test(label);
}

/**
 * Nodes in a simulated world, what their programs do, what may go wrong, and what has to hold.
 *
 * @module
 */
import type { FarNodes } from "../../../src/nats/nodes/far_nodes.ts";
import type { Hall } from "../../../src/node/hall/hall.ts";
import type { LinkTerms } from "../../../src/nats/link.ts";
import { Actor, type Op, type Stage } from "./actor.ts";
import type { EntryChanges } from "../../../src/node/registry/boards.ts";
import type { Entry } from "../../../src/node/registry/entry.ts";
import type { Sources } from "./build.ts";
import { Digest } from "./digest.ts";
import {
  type Post,
  type Process,
  sequenceOf,
  type Timer,
  Violation,
  type Wire,
  World,
} from "./world.ts";

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

export class Scene implements Stage {
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
    to.run(() => to.takeFrame!(frame));
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
        text: "text",
        textOf: (node) => `text ${node}`,
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
    const entries = keysOf(version).map((key) => this.#entryOf(id, key));
    return this.#sources.encodeBoard({ id, name: `${number}`, start: "0" }, entries);
  }

  changeOf({ id, version, before }: Actor): EntryChanges {
    const [keys, others] = [keysOf(version), keysOf(before)];
    const changes = new Map<string, Entry | null>();
    for (const key of others) if (!keys.includes(key)) changes.set(`f ${key}`, null);
    for (const key of keys) {
      if (!others.includes(key)) changes.set(`f ${key}`, this.#entryOf(id, key));
    }
    return changes;
  }

  #entryOf(id: string, key: string): Entry {
    const { encodeValue, makeEntry } = this.#sources;
    const value = encodeValue(null);
    return makeEntry(id, { family: "f", key, port: null, since: 0, token: null, value });
  }

  keysOn(board: Uint8Array): string[] {
    const { identity, entries } = this.#sources.readBoard(board, null);
    // A node that has just joined through memory has an empty board. Its start is its version.
    if (entries.size === 0) return keysOf(identity.start);
    return Array.from(entries.values(), ({ key }) => key);
  }

  versionOf(keys: readonly string[]): string {
    const version = keys.find((key) => key.startsWith("p")) ?? "";
    const isRight = keys.toSorted().join() === keysOf(version).toSorted().join();
    return isRight ? version : `a wrong board of ${keys.join()}`;
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
      actor.readBoards();
      const boards = [...actor.boards.values()].toSorted().join();
      const published = others.map(({ version }) => version).toSorted().join();
      if (boards !== published) {
        throw new Violation(`${id} reads the boards ${boards}, not ${published}`);
      }
    }
    for (const to of living) {
      for (const from of living) if (from !== to) this.#checkStream(from, to);
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

/** The keys on a board: one that stays, one that comes and goes, and one that each version replaces. */
function keysOf(version: string): string[] {
  const isEven = /[02468]$/.test(version);
  return ["stays", ...(isEven ? ["even"] : []), version];
}

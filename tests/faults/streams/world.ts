/**
 * Processes and the memory that they share, as far as nodes see them: a table of participants, private channels, boards.
 * Nothing happens by itself: the explorer chooses each step. What these do, the model of the core proves of the real
 * ones (native/proof/model).
 *
 * @module
 */
import { TandemError } from "../../../src/errors.ts";
import type { Place } from "../../../src/channel/roster.ts";

/** Runs all promises that are settled. The name is put together: the bundler of test programs does not know the module. */
const { drainMicrotasks } = await import(["bun", "jsc"].join(":")) as { drainMicrotasks(): void };

/** Thrown through the code of a process that dies. */
class Killed extends Error {}

export interface Timer {
  readonly milliseconds: number;
  readonly callback: () => void;
}

/** A process, which has one node. */
export class Process {
  /** For the digest of a state: what refers to it; its content is told apart. So with all others. */
  readonly simKey = "process";
  readonly world: World;
  readonly number: number;
  isDead = false;
  /** It dies in the middle of its next post. */
  diesInPost = false;
  readonly timers: Set<Timer> = new Set();
  readonly microtasks: (() => void)[] = [];
  main: Main | null = null;
  mailbox: Mailbox | null = null;
  /** Runs before messages of it go to another. */
  beforePost: () => void = () => {};
  /** What it does with a frame of the network. */
  takeFrame: ((frame: Frame) => void) | null = null;

  constructor(world: World, number: number) {
    this.world = world;
    this.number = number;
  }

  /** Runs a step of this process, to the end of the microtasks. */
  run(step: () => void): void {
    if (this.isDead) throw new Error("a dead process runs");
    const before = current;
    current = this;
    try {
      step();
      for (let turns = 0; !this.isDead; turns++) {
        if (turns > 1_000) throw new Violation("the microtasks do not end");
        drainMicrotasks();
        const microtask = this.microtasks.shift();
        if (!microtask) break;
        microtask();
      }
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    } finally {
      current = before;
    }
  }
}

export class Violation extends Error {}

let current: Process | null = null;

/** The process whose step runs, if it lives. */
export function running(): Process {
  if (current === null) throw new Error("no process runs");
  if (current.isDead) throw new Killed();
  return current;
}

// What stands for `report` of src/base/guard.ts

export function report(_source: object, what: string, error: unknown): void {
  if (current?.isDead) return;
  const { world } = running();
  if (!world.mayReport) world.violation ??= new Violation(`${what} has thrown: ${error}`);
}

export function remark(text: string): void {
  report({}, text, null);
}

export interface Frame {
  readonly subject: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** The frames from one process to another, which come in their order. */
export interface Wire {
  readonly from: Process;
  readonly to: Process;
  readonly frames: Frame[];
}

// The channel in which nodes meet

/** A place of the table of participants. */
interface Entry {
  epoch: number;
  process: Process | null;
  /** The kernel holds its lock. */
  lives: boolean;
  boards: number;
  board: Uint8Array<ArrayBuffer>;
  /** The first one, which others do not see yet: in between, they may look. */
  first: Uint8Array<ArrayBuffer> | null;
  mailbox: Mailbox | null;
}

export class World {
  readonly simKey = "world";
  readonly processes: Process[] = [];
  readonly wires: Wire[] = [];
  readonly table: Entry[] = [];
  joins = 0;
  departures = 0;
  boards = 0;
  /** How many posts fit into a mailbox. */
  readonly capacity: number;
  /** Errors on the console are expected. */
  mayReport = false;
  violation: Violation | null = null;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Somebody has found the participant dead, and has cleared what it leaves. */
  repair(entry: Entry): void {
    if (entry.mailbox) entry.mailbox.isRemoved = true;
    entry.process = null;
    entry.mailbox = null;
    this.departures += 1;
  }

  /** From now on others see this board. */
  show(entry: Entry, board: Uint8Array<ArrayBuffer>): void {
    entry.first = null;
    entry.board = board;
    entry.boards += 1;
    this.boards += 1;
  }

  kill(process: Process): void {
    process.isDead = true;
    process.timers.clear();
    process.microtasks.length = 0;
    for (const entry of this.table) if (entry.process === process) entry.lives = false;
  }
}

export interface Member {
  readonly role: "server";
  readonly pid: number;
  readonly uid: number;
  readonly runtime: "bun";
  readonly calls: number;
  readonly privatePath: string;
  readonly place: Place;
  readonly board: number;
}

const pathOf = (position: number, epoch: number) => `${position}-${epoch}`;

function memberIn(entry: Entry, position: number): Member | null {
  if (!entry.lives || entry.process === null) return null;
  return {
    role: "server",
    pid: 1000 + entry.process.number,
    uid: 0,
    runtime: "bun",
    calls: 0,
    privatePath: pathOf(position, entry.epoch),
    place: { position, epochLow: entry.epoch, epochHigh: 0 },
    board: entry.boards,
  };
}

/** A participant: what `ServerCore` is for nodes. */
export class Main {
  readonly simKey = "main";
  readonly world: World;
  readonly position: number;
  readonly entry: Entry;
  readonly channel: { isOpen: boolean; main: Main };
  onReplaced: (() => void) | null = null;
  listener: (() => void) | null = null;
  /** What had happened when the listener ran last. */
  heard = "";
  follows = false;

  constructor() {
    const process = running();
    const { world } = process;
    this.world = world;
    let position = world.table.findIndex((entry) => entry.process === null);
    if (position < 0) {
      position = world.table.length;
      const board = new Uint8Array(0);
      world.table.push({
        epoch: 0,
        process: null,
        lives: false,
        boards: 0,
        board,
        first: null,
        mailbox: null,
      });
    }
    const entry = world.table[position]!;
    entry.epoch += 1;
    entry.process = process;
    entry.lives = true;
    entry.boards = 0;
    entry.first = null;
    this.entry = entry;
    this.position = position;
    this.channel = { isOpen: true, main: this };
    world.joins += 1;
    process.main = this;
  }

  static open(): Main {
    return new Main();
  }

  get joins(): number {
    return this.world.joins;
  }

  get departures(): number {
    return this.world.departures;
  }

  members(): Member[] {
    const { table } = this.world;
    return table.map(memberIn).filter((member) => member !== null);
  }

  isLiving({ position, epochLow }: Place): boolean {
    const entry = this.world.table[position];
    return entry !== undefined && entry.lives && entry.epoch === epochLow;
  }

  watchMembers(listener: () => void): void {
    this.listener = listener;
  }

  /** What would wake it. */
  get news(): string {
    const { joins, departures, boards } = this.world;
    return `${joins} ${departures} ${this.follows ? boards : ""}`;
  }

  consume(): Promise<void> {
    return new Promise(() => {});
  }

  unref(): void {}
  expectNothing(): void {}

  close(): void {
    if (!this.channel.isOpen || running().isDead) return;
    this.channel.isOpen = false;
    this.entry.lives = false;
    this.world.repair(this.entry);
  }
}

interface Handle {
  readonly channel: { main: Main };
}

export function memberAt({ main }: { main: Main }, position: number): Member | null {
  const entry = main.world.table[position];
  return entry ? memberIn(entry, position) : null;
}

export function hasHad({ main }: { main: Main }, { position, epochLow }: Place): boolean {
  const entry = main.world.table[position];
  if (entry === undefined) return false;
  return entry.epoch === epochLow ? !entry.lives : epochLow < entry.epoch;
}

export function isSamePlace(one: Place, other: Place): boolean {
  return one.position === other.position && one.epochLow === other.epochLow;
}

export function placeKey({ position, epochLow }: Place): string {
  return pathOf(position, epochLow);
}

export function countBoards({ channel: { main } }: Handle): number {
  return main.world.boards;
}

export function followBoards({ channel: { main } }: Handle): void {
  main.follows = true;
}

export function unfollowBoards({ channel: { main } }: Handle): void {
  main.follows = false;
}

export function writeBoard({ channel: { main } }: Handle, bytes: Uint8Array): void {
  running();
  const { entry, world } = main;
  if (entry.boards === 0 && entry.first === null) entry.first = bytes.slice();
  else world.show(entry, bytes.slice());
}

export function readBoard({ channel: { main } }: Handle, { place }: Member): Uint8Array | null {
  const entry = main.world.table[place.position]!;
  return entry.epoch === place.epochLow && entry.process ? entry.board.slice() : null;
}

export function readBoardStart(handle: Handle, member: Member, room: number): Uint8Array | null {
  return readBoard(handle, member)?.subarray(0, room) ?? null;
}

export class Roll {
  readonly #main: Main;
  #before: string[] = [];

  constructor({ channel: { main } }: Handle) {
    this.#main = main;
  }

  changed(): number[] {
    const before = this.#before;
    this.#before = this.#main.world.table.map(({ epoch, process, boards }) =>
      process === null ? "" : `${epoch} ${boards}`
    );
    return this.#before.flatMap((now, at) => now === (before[at] ?? "") ? [] : [at]);
  }

  /** For the digest. */
  get simKey(): string {
    return this.#before.join();
  }
}

// Mailboxes

/** One who posts. */
interface Poster {
  readonly position: number;
  readonly process: Process;
  lives: boolean;
}

export interface Post {
  readonly poster: Poster;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its sender has died in the middle of it. */
  isHalf: boolean;
}

interface Taker {
  take(request: object): void;
}

/** A private channel: what its server sees. */
export class Mailbox {
  readonly simKey = "mailbox";
  readonly owner: Process;
  readonly posts: Post[] = [];
  readonly posters: Poster[] = [];
  isRemoved = false;
  taker: Taker | null = null;

  constructor(owner: Process) {
    this.owner = owner;
    owner.mailbox = this;
  }

  unref(): void {}
  waitAmong(): void {}

  consume(taker: Taker): Promise<void> {
    this.taker = taker;
    return new Promise(() => {});
  }

  /** Finishes what dead posters have left, and takes nothing. */
  sweep(): void {
    for (const post of this.posts) if (!post.poster.lives) post.isHalf = false;
  }

  /** Whether there is something to take. */
  get hasPost(): boolean {
    return this.posts.some(({ isHalf }) => !isHalf);
  }

  tryReceive(): object | null {
    running();
    if (this.isRemoved) throw new TandemError("NOT_FOUND", "removed");
    const at = this.posts.findIndex(({ isHalf }) => !isHalf);
    if (at < 0) return null;
    const [{ poster, bytes }] = this.posts.splice(at, 1) as [Post];
    return {
      bytes,
      reply() {},
      senderPlace: placeOf(poster),
      peer: { pid: 1000 + poster.process.number },
    };
  }

  isLiving({ position }: Place): boolean {
    return this.posters[position]!.lives;
  }

  members(): object[] {
    return this.posters.filter(({ lives }) => lives).map((poster) => ({
      role: "client",
      pid: 1000 + poster.process.number,
      place: placeOf(poster),
    }));
  }
}

const placeOf = ({ position }: Poster): Place => ({ position, epochLow: 1, epochHigh: 0 });

export function servePrivate(main: Main): { server: Mailbox; name: string; remove(): void } {
  const server = new Mailbox(running());
  main.entry.mailbox = server;
  return {
    server,
    name: pathOf(main.position, main.entry.epoch),
    remove() {
      server.isRemoved = true;
      server.taker = null;
    },
  };
}

/** One end of a private channel, for a sender. */
export class Sender {
  readonly mailbox: Mailbox;
  readonly #poster: Poster;

  constructor(mailbox: Mailbox) {
    this.mailbox = mailbox;
    this.#poster = { position: mailbox.posters.length, process: running(), lives: true };
    mailbox.posters.push(this.#poster);
  }

  get simKey(): string {
    return `${this.mailbox.owner.number} ${this.#poster.position}`;
  }

  post(batch: Uint8Array): boolean {
    const process = running();
    const { mailbox } = this;
    if (mailbox.isRemoved) throw new TandemError("NOT_FOUND", "removed");
    if (mailbox.posts.length >= process.world.capacity) return false;
    if (sequenceOf(batch) !== 0) process.beforePost();
    const post = { poster: this.#poster, bytes: batch.slice(), isHalf: false };
    mailbox.posts.push(post);
    if (!process.diesInPost) return true;
    post.isHalf = true;
    process.world.kill(process);
    throw new Killed();
  }

  /** Whether fewer posts than these wait, of all senders. */
  hasRoom(limit: number): boolean {
    running();
    return this.mailbox.posts.filter(({ isHalf }) => !isHalf).length < limit;
  }

  close(): void {
    if (!current?.isDead) this.#poster.lives = false;
  }
}

export function connectPrivateQuietly(main: Main, path: string): Sender {
  running();
  const { table } = main.world;
  const entry = table.find((each, at) => pathOf(at, each.epoch) === path);
  if (!entry?.mailbox || entry.mailbox.isRemoved) throw new TandemError("NOT_FOUND", "gone");
  return new Sender(entry.mailbox);
}

export const rendezvous = (): object => ({});

/** The number of a batch; 0: it has no messages. */
export function sequenceOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(20, true);
}

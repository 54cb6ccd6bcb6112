/**
 * The commands that fast-check generates: each picks its objects at random, and is left out
 * where there is nothing to pick.
 *
 * @module
 */
import fc from "fast-check";
import type { Model } from "./model.ts";
import type { Recorder } from "./session.ts";
import type { Content, Form, Operation, Sizes } from "./operations.ts";
import type { Message, OpenHandle } from "./state.ts";

/** The random numbers of a command. Their meaning depends on the objects there when it runs. */
interface Dice {
  readonly kind: Kind;
  /** Picks a handle, call, draft or request: open ones come first. */
  readonly pick: number;
  readonly other: number;
  readonly length: number;
  readonly isText: boolean;
  readonly form: Form;
  readonly variant: number;
}

const plans = {
  openClient: (model: Model): Operation | null =>
    countOpen(model.clients) < 2 ? { op: "openClient", client: `c${model.serial}` } : null,

  closeClient: (model: Model, { pick }: Dice): Operation | null => {
    const client = pickHandle(model.clients, pick);
    return client ? { op: "closeClient", client } : null;
  },

  send: (model: Model, dice: Dice): Operation | null => {
    const client = pickHandle(model.clients, dice.pick);
    if (!client) return null;
    const { form, variant } = dice;
    const content = contentOf(model, dice);
    // The other forms would wait for ever.
    const mayWait = form === "try" || model.hasRoom || !isOpen(model.clients, client) ||
      content.length > model.sizes.maxRequestBytes;
    const timeout = !mayWait ? 0 : [undefined, undefined, undefined, 3_600_000, 0][variant % 5];
    if (timeout === 0 && hasReceiver(model)) return null;
    const maxDeliveries = [undefined, 1 + dice.other % model.sizes.maxDeliveries][variant % 2];
    return {
      op: "send",
      client,
      call: `k${model.serial}`,
      content,
      form,
      ...(timeout !== undefined && { timeout }),
      ...(maxDeliveries !== undefined && { maxDeliveries }),
    };
  },

  sendLater: (model: Model, dice: Dice): Operation | null => {
    const client = pickOpen(model.clients, dice.pick);
    const content = contentOf(model, dice);
    if (!client || model.hasRoom || content.length > model.sizes.maxRequestBytes) return null;
    const { serial } = model;
    return { op: "sendLater", client, call: `k${serial}`, content, wait: `w${serial}` };
  },

  post: (model: Model, dice: Dice): Operation | null => {
    const client = pickHandle(model.clients, dice.pick);
    return client ? { op: "post", client, content: contentOf(model, dice) } : null;
  },

  ask: (model: Model, dice: Dice): Operation | null => {
    const client = pickOpen(model.clients, dice.pick);
    const content = contentOf(model, dice);
    if (!client || !model.hasRoom || content.length > model.sizes.maxRequestBytes) return null;
    const into = intoOf(dice);
    return {
      op: "ask",
      client,
      content,
      wait: `w${model.serial}`,
      ...(into !== undefined && { into }),
    };
  },

  askInVain: (model: Model, dice: Dice): Operation | null => {
    const client = pickHandle(model.clients, dice.pick);
    if (!client || hasReceiver(model)) return null;
    return {
      op: "askInVain",
      client,
      content: contentOf(model, dice),
      form: dice.form === "sync" ? "sync" : "promise",
    };
  },

  allocate: (model: Model, dice: Dice): Operation | null => {
    const client = pickHandle(model.clients, dice.pick);
    if (!client) return null;
    // Messages filled in place are never marked as text.
    const content = { ...contentOf(model, dice), isText: false };
    return { op: "allocate", client, draft: `d${model.serial}`, content };
  },

  sendDraft: (model: Model, { pick, variant }: Dice): Operation | null => {
    const draft = pickDraft(model, pick);
    if (!draft) return null;
    const isLate = variant % 4 === 0 && !hasReceiver(model);
    return { op: "sendDraft", draft, call: `k${model.serial}`, ...(isLate && { timeout: 0 }) };
  },

  postDraft: (model: Model, { pick }: Dice): Operation | null => {
    const draft = pickDraft(model, pick);
    return draft ? { op: "postDraft", draft } : null;
  },

  askDraft: (model: Model, { pick }: Dice): Operation | null => {
    const draft = pickDraft(model, pick);
    const open = draft && model.drafts.get(draft);
    if (!open || open.isUsed || !isOpen(model.clients, open.client)) return null;
    return { op: "askDraft", draft, wait: `w${model.serial}` };
  },

  discardDraft: (model: Model, { pick }: Dice): Operation | null => {
    const draft = pickDraft(model, pick);
    return draft ? { op: "discardDraft", draft } : null;
  },

  get: (model: Model, dice: Dice): Operation | null => {
    const call = pickCall(model, dice.pick);
    if (!call) return null;
    const { form } = dice;
    if (form === "promise" && isAwaited(model, call)) return null;
    const into = intoOf(dice);
    return {
      op: "get",
      call,
      form,
      ...timeoutOf(model, call, dice),
      ...(into !== undefined && { into }),
    };
  },

  ready: (model: Model, dice: Dice): Operation | null => {
    const call = pickCall(model, dice.pick);
    if (!call) return null;
    const form = dice.form === "sync" ? "sync" : "promise";
    if (form === "promise" && isAwaited(model, call)) return null;
    return { op: "ready", call, form, ...timeoutOf(model, call, dice) };
  },

  view: (model: Model, { pick }: Dice): Operation | null => {
    const call = pickCall(model, pick);
    return call ? { op: "view", call } : null;
  },

  release: (model: Model, { pick }: Dice): Operation | null => {
    const call = pickCall(model, pick);
    return call ? { op: "release", call } : null;
  },

  cancel: (model: Model, { pick }: Dice): Operation | null => {
    const call = pickCall(model, pick);
    return call ? { op: "cancel", call } : null;
  },

  cancelById: (model: Model, { pick, other }: Dice): Operation | null => {
    const client = pickHandle(model.clients, other);
    const id = pickId(model, pick);
    return client && id ? { op: "cancelById", client, id } : null;
  },

  awaitCall: (model: Model, { pick, variant }: Dice): Operation | null => {
    const call = pickCall(model, pick);
    if (!call || isAwaited(model, call)) return null;
    if (!isOpen(model.clients, model.calls.get(call)!.client)) return null;
    return {
      op: "awaitCall",
      call,
      want: variant % 3 === 0 ? "ready" : "get",
      wait: `w${model.serial}`,
    };
  },

  abort: (model: Model, { pick }: Dice): Operation | null => {
    const wait = pickOf([...model.waits.values()], pick);
    if (!wait) return null;
    return { op: wait.kind === "receive" ? "abortServer" : "abortClient", wait: wait.name };
  },

  counts: (model: Model, { pick }: Dice): Operation | null => {
    const client = pickHandle(model.clients, pick);
    return client ? { op: "counts", client } : null;
  },

  openServer: (model: Model): Operation | null =>
    countOpen(model.servers) < 2 ? { op: "openServer", server: `s${model.serial}` } : null,

  closeServer: (model: Model, { pick }: Dice): Operation | null => {
    const server = pickHandle(model.servers, pick);
    return server ? { op: "closeServer", server } : null;
  },

  receive: (model: Model, { pick, form, variant }: Dice): Operation | null => {
    const server = pickHandle(model.servers, pick);
    if (!server) return null;
    const max = [undefined, 1, 2, 1000][variant % 4];
    const mayWait = !isOpen(model.servers, server) || (model.hasRequest && variant % 3 > 0);
    return {
      op: "receive",
      server,
      form,
      ...(max !== undefined && { max }),
      ...(mayWait ? forEver(form) : { timeout: 0 }),
    };
  },

  receiveLater: (model: Model, { pick, variant }: Dice): Operation | null => {
    const server = pickOpen(model.servers, pick);
    if (!server) return null;
    // Several handles may finish in any order.
    const others = [...model.waits.values()].some((wait) =>
      wait.kind === "receive" && wait.handle !== server
    );
    if (others) return null;
    const max = [undefined, 1, 2, 1000][variant % 4];
    return {
      op: "receiveLater",
      server,
      wait: `w${model.serial}`,
      ...(max !== undefined && { max }),
    };
  },

  reply: (model: Model, dice: Dice): Operation | null => {
    const request = pickRequest(model, dice.pick);
    if (!request) return null;
    const how = (["reply", "allocate", "echo"] as const)[dice.variant % 3]!;
    return { op: "reply", request, content: contentOf(model, dice), how };
  },

  fail: (model: Model, { pick }: Dice): Operation | null => {
    const request = pickRequest(model, pick);
    return request ? { op: "fail", request, message: `failure ${model.serial}` } : null;
  },

  answerById: (model: Model, dice: Dice): Operation | null => {
    const server = pickHandle(model.servers, dice.other);
    const id = pickId(model, dice.pick);
    if (!server || !id) return null;
    return dice.variant % 3 === 0
      ? { op: "failById", server, id, message: `failure ${model.serial}` }
      : { op: "replyById", server, id, content: contentOf(model, dice) };
  },

  look: (model: Model, { pick }: Dice): Operation | null => {
    const request = pickRequest(model, pick);
    // An answered request has no content any more.
    if (!request || model.requests.get(request)!.isAnswered) return null;
    return { op: "look", request };
  },

  clear: (model: Model, { pick }: Dice): Operation | null => {
    const server = pickHandle(model.servers, pick);
    return server ? { op: "clear", server } : null;
  },
};

type Kind = keyof typeof plans;

/** The weight of each command. */
const weights: Readonly<Record<Kind, number>> = {
  openClient: 2,
  closeClient: 1,
  send: 8,
  sendLater: 4,
  post: 3,
  ask: 4,
  askInVain: 1,
  allocate: 3,
  sendDraft: 3,
  postDraft: 1,
  askDraft: 1,
  discardDraft: 1,
  get: 7,
  ready: 2,
  view: 4,
  release: 2,
  cancel: 3,
  cancelById: 2,
  awaitCall: 3,
  abort: 2,
  counts: 4,
  openServer: 2,
  closeServer: 2,
  receive: 9,
  receiveLater: 4,
  reply: 9,
  fail: 2,
  answerById: 2,
  look: 3,
  clear: 1,
};

/** The sizes of a channel, small enough to reach every limit. */
export const sizes: fc.Arbitrary<Sizes> = fc.record({
  slots: fc.integer({ min: 1, max: 4 }),
  maxRequestBytes: fc.constantFrom(5000, 120, 96, 3, 0),
  maxResponseBytes: fc.constantFrom(5000, 120, 3, 0),
  maxDeliveries: fc.integer({ min: 1, max: 3 }),
});

// Lengths around the borders between a slot's head and its areas, and beyond all limits.
const lengths = [0, 1, 3, 12, 95, 96, 97, 119, 120, 120, 121, 1000, 4096, 5000, 5001];

/** Lists of commands. */
export function commands(
  length: number,
  replayPath: string | undefined,
): fc.Arbitrary<Iterable<fc.AsyncCommand<Model, Recorder>>> {
  const arbitraries = (Object.keys(plans) as Kind[]).flatMap((kind) => {
    const command = fc.record<Dice>({
      kind: fc.constant(kind),
      pick: fc.nat(5),
      other: fc.nat(5),
      length: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...lengths.slice(0, 4)) },
        { weight: 2, arbitrary: fc.constantFrom(...lengths) },
      ),
      isText: fc.boolean(),
      form: fc.constantFrom("try", "sync", "promise"),
      variant: fc.nat(11),
    }).map((dice) => new Command(dice));
    return Array.from({ length: weights[kind] }, () => command);
  });
  return fc.commands(arbitraries, {
    maxCommands: length,
    size: "max",
    ...(replayPath !== undefined && { replayPath }),
  });
}

class Command implements fc.AsyncCommand<Model, Recorder> {
  readonly #dice: Dice;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  check(model: Readonly<Model>): boolean {
    return this.#plan(model as Model) !== null;
  }

  async run(model: Model, recorder: Recorder): Promise<void> {
    await recorder.perform(model, this.#plan(model)!);
  }

  #plan(model: Model): Operation | null {
    return plans[this.#dice.kind](model, this.#dice);
  }

  toString(): string {
    return this.#dice.kind;
  }
}

function contentOf(model: Model, { length, isText }: Dice): Content {
  return { length, seed: model.serial, isText };
}

function intoOf({ variant, other }: Dice): number | undefined {
  return variant % 3 === 0 ? lengths[other * 2] : undefined;
}

/** How long to wait for a call: not at all where it might have no end. */
function timeoutOf(model: Model, call: string, { variant, form }: Dice): { timeout?: number } {
  const message = model.calls.get(call)!;
  const ends = isOver(message) || message.isLate || !isOpen(model.clients, message.client);
  return ends && variant % 2 ? forEver(form) : { timeout: 0 };
}

/** A thread that blocks for ever could not report it. */
function forEver(form: Form): { timeout?: number } {
  return form === "sync" ? { timeout: 5000 } : {};
}

function isOver({ state }: Message): boolean {
  return state !== "queued" && state !== "held";
}

function isAwaited(model: Model, call: string): boolean {
  const message = model.calls.get(call);
  return [...model.waits.values()].some((wait) => wait.message === message);
}

function hasReceiver(model: Model): boolean {
  return [...model.waits.values()].some(({ kind }) => kind === "receive");
}

function isOpen(handles: ReadonlyMap<string, OpenHandle>, name: string): boolean {
  return handles.get(name)!.isOpen;
}

function countOpen(handles: ReadonlyMap<string, OpenHandle>): number {
  return [...handles.values()].filter(({ isOpen }) => isOpen).length;
}

function pickOf<T>(list: readonly T[], pick: number): T | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}

/** Open objects, and some that are spent. */
function pickLively<T>(
  map: ReadonlyMap<string, T>,
  pick: number,
  isLively: (value: T) => boolean,
): string | undefined {
  const entries = [...map];
  const lively = entries.filter(([, value]) => isLively(value));
  const others = entries.filter(([, value]) => !isLively(value)).slice(-1);
  return pickOf([...lively, ...others], pick)?.[0];
}

function pickHandle(handles: ReadonlyMap<string, OpenHandle>, pick: number): string | undefined {
  // An open one three times as often.
  return pick < 5 ? pickOpen(handles, pick) : pickLively(handles, pick, ({ isOpen }) => !isOpen);
}

function pickOpen(handles: ReadonlyMap<string, OpenHandle>, pick: number): string | undefined {
  return pickOf([...handles].filter(([, { isOpen }]) => isOpen), pick)?.[0];
}

function pickDraft(model: Model, pick: number): string | undefined {
  return pickLively(model.drafts, pick, ({ isUsed }) => !isUsed);
}

function pickCall(model: Model, pick: number): string | undefined {
  return pickLively(model.calls, pick, ({ state }) => state !== "gone");
}

function pickRequest(model: Model, pick: number): string | undefined {
  const isHeld = ({ isAnswered, server }: { isAnswered: boolean; server: string }) =>
    !isAnswered && isOpen(model.servers, server);
  return pickLively(model.requests, pick, isHeld);
}

function pickId(model: Model, pick: number): string | undefined {
  return pickLively(model.ids, pick, ({ state }) => state !== "gone");
}

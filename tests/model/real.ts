/**
 * Runs operations on a real channel.
 *
 * @module
 */
import {
  type Call,
  Client,
  type Draft,
  RemoteError,
  Server,
  type ServerRequest,
  TandemError,
} from "../../mod.ts";
import { bytesOf, digest, payloadOf } from "./content.ts";
import type {
  Actor,
  ClientOperation,
  Content,
  Counts,
  Event,
  Form,
  Operation,
  Outcome,
  Received,
  ServerOperation,
} from "./operations.ts";
import { isOfClient } from "./operations.ts";

/**
 * After so many turns, in milliseconds, a promise that has to settle counts as hanging. Turns, because a process that
 * stands still for that time has not looked.
 */
const [patience, turn] = [5_000, 10] as const;

/** Holds the objects that operations have made. */
export class RealActor implements Actor {
  readonly #target: string;
  readonly #clients: Map<string, Client> = new Map();
  readonly #servers: Map<string, Server> = new Map();
  readonly #calls: Map<string, Call> = new Map();
  readonly #drafts: Map<string, Draft> = new Map();
  readonly #requests: Map<string, ServerRequest> = new Map();
  readonly #aborts: Map<string, AbortController> = new Map();
  readonly #clientEvents: Events = new Events();
  readonly #serverEvents: Events = new Events();

  constructor(target: string) {
    this.#target = target;
  }

  async perform(operation: Operation): Promise<Outcome> {
    return await outcomeOf(async () =>
      isOfClient(operation) ? await this.#ofClient(operation) : await this.#ofServer(operation)
    );
  }

  /** Closes all handles. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
    for (const server of this.#servers.values()) server.close();
  }

  async #ofClient(operation: ClientOperation): Promise<unknown> {
    switch (operation.op) {
      case "openClient":
        this.#clients.set(operation.client, Client.open(this.#target));
        return null;
      case "closeClient":
        return this.#client(operation).close();
      case "send": {
        const { content, form, call: name, op: _, client: __, ...options } = operation;
        const client = this.#client(operation);
        const payload = payloadOf(content);
        const call = form === "try"
          ? client.trySend(payload, options)
          : form === "sync"
          ? client.sendSync(payload, options)
          : await client.send(payload, options);
        return call && this.#named(name, call);
      }
      case "sendLater": {
        const { wait, call, content } = operation;
        const signal = this.#signal(wait);
        const sent = this.#client(operation).send(payloadOf(content), { signal });
        return this.#clientEvents.add(wait, sent.then((made) => this.#named(call, made)));
      }
      case "post":
        return this.#client(operation).post(payloadOf(operation.content));
      case "ask": {
        const { wait, content, into } = operation;
        const answer = this.#client(operation).request(payloadOf(content), {
          signal: this.#signal(wait),
          ...intoOf(into),
        });
        return this.#clientEvents.add(wait, answer.then(digest));
      }
      case "askInVain": {
        const payload = payloadOf(operation.content);
        const client = this.#client(operation);
        const answer = operation.form === "sync"
          ? client.requestSync(payload, { timeout: 0 })
          : await client.request(payload, { timeout: 0 });
        return digest(answer);
      }
      case "allocate": {
        const draft = this.#client(operation).allocate(operation.content.length);
        draft.bytes.set(bytesOf(operation.content));
        this.#drafts.set(operation.draft, draft);
        return draft.bytes.length;
      }
      case "sendDraft": {
        const { timeout } = operation;
        const options = timeout === undefined ? {} : { timeout };
        return this.#named(operation.call, this.#draft(operation).send(options));
      }
      case "postDraft":
        return this.#draft(operation).post();
      case "askDraft": {
        const signal = this.#signal(operation.wait);
        const answer = this.#draft(operation).request({ signal });
        return this.#clientEvents.add(operation.wait, answer.then(digest));
      }
      case "discardDraft":
        return this.#draft(operation).discard();
      case "get": {
        const { form, timeout, into } = operation;
        const options = { ...(timeout === undefined ? {} : { timeout }), ...intoOf(into) };
        const call = this.#call(operation);
        const answer = form === "try"
          ? call.tryGet(intoOf(into))
          : form === "sync"
          ? call.getSync(options)
          : await call.get(options);
        return answer && digest(answer);
      }
      case "ready": {
        const options = operation.timeout === undefined ? {} : { timeout: operation.timeout };
        const call = this.#call(operation);
        return operation.form === "sync" ? call.readySync(options) : await call.ready(options);
      }
      case "view": {
        const view = this.#call(operation).view();
        return view && digest(view);
      }
      case "release":
        return this.#call(operation).release();
      case "cancel":
        return this.#call(operation).cancel();
      case "cancelById":
        return this.#client(operation).cancel(BigInt(operation.id));
      case "awaitCall": {
        const options = { signal: this.#signal(operation.wait) };
        const call = this.#call(operation);
        const wait = operation.want === "get"
          ? call.get(options).then(digest)
          : call.ready(options);
        return this.#clientEvents.add(operation.wait, wait);
      }
      case "abortClient":
        this.#abort(operation.wait);
        return await this.#clientEvents.next();
      case "counts":
        return countsOf(this.#client(operation));
      case "nextClientEvent":
        return await this.#clientEvents.next();
    }
  }

  async #ofServer(operation: ServerOperation): Promise<unknown> {
    switch (operation.op) {
      case "openServer":
        this.#servers.set(operation.server, Server.open(this.#target));
        return null;
      case "closeServer":
        return this.#server(operation).close();
      case "receive": {
        const { form, max, timeout } = operation;
        const options = timeout === undefined ? {} : { timeout };
        const server = this.#server(operation);
        return max === undefined
          ? [await receiveOne(server, form, options)].flatMap((one) => one ? [this.#told(one)] : [])
          : (await receiveMany(server, form, max, options)).map((one) => this.#told(one));
      }
      case "receiveLater": {
        const { wait, max } = operation;
        const options = { signal: this.#signal(wait) };
        const server = this.#server(operation);
        const received = max === undefined
          ? server.receive(options).then((one) => one ? [one] : [])
          : server.receiveMany(max, options);
        return this.#serverEvents.add(
          wait,
          received.then((requests) => requests.map((one) => this.#told(one))),
        );
      }
      case "reply":
        return reply(this.#request(operation), operation.how, operation.content);
      case "fail":
        return this.#request(operation).fail(new RangeError(operation.message));
      case "replyById":
        return this.#server(operation).reply(BigInt(operation.id), payloadOf(operation.content));
      case "failById":
        return this.#server(operation).fail(BigInt(operation.id), new Error(operation.message));
      case "look": {
        const request = this.#request(operation);
        return { bytes: digest(request.bytes), cancelled: request.cancelled };
      }
      case "clear":
        return this.#server(operation).clear();
      case "abortServer":
        this.#abort(operation.wait);
        return await this.#serverEvents.next();
      case "nextServerEvent":
        await this.#serverEvents.settle();
        return await this.#serverEvents.next();
    }
  }

  #client({ client }: { readonly client: string }): Client {
    return found(this.#clients, client);
  }

  #server({ server }: { readonly server: string }): Server {
    return found(this.#servers, server);
  }

  #call({ call }: { readonly call: string }): Call {
    return found(this.#calls, call);
  }

  #draft({ draft }: { readonly draft: string }): Draft {
    return found(this.#drafts, draft);
  }

  #request({ request }: { readonly request: string }): ServerRequest {
    return found(this.#requests, request);
  }

  #named(name: string, call: Call): string {
    this.#calls.set(name, call);
    return String(call.id);
  }

  #told(request: ServerRequest): Received {
    const name = `r${this.#requests.size + 1}`;
    this.#requests.set(name, request);
    const { id, bytes, isText, oneWay, deliveries, cancelled } = request;
    return {
      request: name,
      id: String(id),
      bytes: digest(bytes),
      isText,
      oneWay,
      deliveries,
      cancelled,
    };
  }

  #signal(wait: string): AbortSignal {
    const controller = new AbortController();
    this.#aborts.set(wait, controller);
    return controller.signal;
  }

  #abort(wait: string): void {
    found(this.#aborts, wait).abort(new Reason());
  }
}

/** The reason of aborts. */
class Reason extends Error {
  override name = "Reason";
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`the model thinks that there is ${name}`);
  return value;
}

function intoOf(length: number | undefined): { into?: Uint8Array<ArrayBuffer> } {
  return length === undefined ? {} : { into: new Uint8Array(length) };
}

async function receiveOne(
  server: Server,
  form: Form,
  options: { timeout?: number },
): Promise<ServerRequest | null> {
  if (form === "try") return server.tryReceive();
  return form === "sync" ? server.receiveSync(options) : await server.receive(options);
}

async function receiveMany(
  server: Server,
  form: Form,
  max: number,
  options: { timeout?: number },
): Promise<ServerRequest[]> {
  if (form === "try") return server.tryReceiveMany(max);
  return form === "sync"
    ? server.receiveManySync(max, options)
    : await server.receiveMany(max, options);
}

function reply(
  request: ServerRequest,
  how: "reply" | "allocate" | "echo",
  content: Content,
): boolean {
  switch (how) {
    case "reply":
      return request.reply(payloadOf(content));
    case "echo":
      return request.reply(request.bytes);
    case "allocate": {
      const view = request.allocate(content.length);
      view.set(bytesOf(content));
      return request.reply(view);
    }
  }
}

function countsOf(client: Client): Counts {
  const { inFlight, queued, clients, servers, requests, replies, redelivered } = client.stats();
  return {
    inFlight,
    queued,
    clients,
    servers,
    requests,
    replies,
    redelivered,
    pending: client.pending,
    serversOpen: client.servers,
  };
}

async function outcomeOf(body: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await body() ?? null };
  } catch (error) {
    if (error instanceof RemoteError) return { error: error.code, message: error.remoteMessage };
    if (error instanceof TandemError) return { error: error.code, message: error.message };
    const { name, message } = error as Error;
    return { error: name, message };
  }
}

/** Pending promises, in the order in which they settle. */
class Events {
  readonly #settled: Event[] = [];
  #wake: (() => void) | null = null;

  add(wait: string, promise: Promise<unknown>): null {
    void outcomeOf(() => promise).then((outcome) => {
      this.#settled.push({ wait, outcome });
      this.#wake?.();
    });
    return null;
  }

  /**
   * Sorts settled promises by the order in which they were made: the number of microtasks that one
   * kind of promise takes longer than another does not matter.
   */
  async settle(): Promise<void> {
    await this.#some();
    for (let count = 0; count < 20; count++) await Promise.resolve();
    const age = ({ wait }: Event) => Number(wait.slice(1));
    this.#settled.sort((one, other) => age(one) - age(other));
  }

  /** The next settled promise that was not reported yet. */
  async next(): Promise<Event> {
    await this.#some();
    return this.#settled.shift()!;
  }

  async #some(): Promise<void> {
    while (this.#settled.length === 0) {
      let timer: ReturnType<typeof setInterval> | undefined;
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        let turns = 0;
        timer = setInterval(() => {
          if (++turns < patience / turn) return;
          reject(new Error("a promise that has to settle stays pending"));
        }, turn);
      }).finally(() => {
        clearInterval(timer);
        this.#wake = null;
      });
    }
  }
}

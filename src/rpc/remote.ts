/**
 * Remote interfaces: objects whose methods make calls.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { ConnectTarget } from "../transport/targets.ts";
import { callSite } from "./call_errors.ts";
import { Connection } from "./connection.ts";
import { mergeMetadata } from "./metadata.ts";
import { bareName, canBeOffered } from "./interface.ts";
import type { CallOptions, ConnectOptions } from "./options.ts";
import { type CallTerms, parseCallOptions, parseConnectOptions } from "./terms.ts";
import type { Remote } from "./types.ts";

/** The state of a remote. */
export interface RemoteState {
  readonly target: string;
  readonly connection: Connection;
  readonly options: CallOptions;
  /** Makes the calls; default: the connection. */
  readonly caller?: Caller;
}

/** Makes the calls of a remote. */
export interface Caller {
  call(method: string, args: readonly unknown[], terms: CallTerms): unknown;
}

const states: WeakMap<object, RemoteState> = new WeakMap();

type RemoteFunction = (...args: unknown[]) => unknown;

/**
 * The properties with which a remote answers printers, conversions and `Object.prototype` methods without
 * making a call.
 */
function localProperties(
  target: string,
): PropertyDescriptorMap & Record<PropertyKey, { value?: unknown }> {
  const text = `[Remote ${target}]`;
  const toText = () => text;
  const { hasOwnProperty, isPrototypeOf, propertyIsEnumerable, valueOf } = Object.prototype;
  const values: Record<PropertyKey, unknown> = {
    toString: toText,
    toLocaleString: toText,
    valueOf,
    hasOwnProperty,
    isPrototypeOf,
    propertyIsEnumerable,
    [Symbol.toStringTag]: "Remote",
    [Symbol.toPrimitive]: (hint: string) => hint === "number" ? NaN : text,
    [Symbol.for("nodejs.util.inspect.custom")]: toText,
    [Symbol.for("Deno.customInspect")]: toText,
  };
  const properties: Record<PropertyKey, PropertyDescriptor> = Object.create(null);
  for (const name of Reflect.ownKeys(values)) {
    properties[name] = { value: values[name], configurable: true };
  }
  return properties;
}

/** Makes the object that users see. */
function makeRemote(state: RemoteState, dispose: () => void): object {
  const { target, connection, options, caller = connection } = state;
  const terms = parseCallOptions(options);
  const methods: Map<string | symbol, RemoteFunction> = new Map();
  methods.set(Symbol.dispose, dispose);
  // deno-lint-ignore require-await -- AsyncDisposable needs a promise
  methods.set(Symbol.asyncDispose, async () => dispose());
  const local = localProperties(target);
  const termsBelow = (frame: RemoteFunction): CallTerms =>
    terms.callSites ? { ...terms, site: callSite(frame) } : terms;
  const callBare: RemoteFunction = (...args) => caller.call(bareName, args, termsBelow(callBare));
  const method = (name: string): RemoteFunction => {
    const call: RemoteFunction = (...args) => caller.call(name, args, termsBelow(call));
    methods.set(name, call);
    return call;
  };
  // A function, because the interface may be one. It has the local properties too, because printers look
  // through a Proxy.
  const remote = new Proxy(Object.defineProperties((): void => {}, local), {
    get: (_, name) => {
      const known = methods.get(name);
      if (known) return known;
      if (typeof name === "string" && canBeOffered(name)) return method(name);
      return local[name]?.value;
    },
    has: (_, name) =>
      methods.has(name) || name in local || (typeof name === "string" && canBeOffered(name)),
    apply: (_, __, args: unknown[]) => callBare(...args),
    ownKeys: () => [],
    getOwnPropertyDescriptor: () => undefined,
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
    setPrototypeOf: () => false,
  });
  // Metadata as they are now: the caller may change its object.
  const { metadata } = terms;
  states.set(remote, { ...state, options: { ...options, ...(metadata && { metadata }) } });
  return remote;
}

/**
 * Connects to an interface that {@linkcode serve} offers in any process, in any runtime. Each method of
 * the returned remote makes a call to a service of the target.
 *
 * The target is a name, a path, `memory:NAME`, `nats://SERVERS/NAME`, or a `Client`: see `target` below.
 *
 * You can print a remote, await it, or put it into JSON without making a call: its text is
 * `[Remote target]`, and JSON leaves it out. `using`, or `remote[Symbol.dispose]()`, closes it;
 * `remote.close()` would be a call.
 *
 * A connection is lazy. The first call opens the channel, and waits for it within its `timeout`; so does
 * the first call after the channel was unlinked. An open connection does not keep the process alive; a
 * pending call does.
 *
 * A call waits for at most 30 seconds unless `timeout` says otherwise. It fails with `NO_SERVER` if no
 * service was open meanwhile, and at once with `whenAbsent: "fail"`.
 *
 * Arguments may be nested up to 1,000 deep. If an argument cannot be sent, the call rejects with
 * `NOT_SERIALIZABLE`, which names the value and its place. If a getter of an argument throws, the call
 * rejects with that error.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const api = {
 *   add: (a: number, b: number) => a + b,
 *   async *count(to: number) {
 *     for (let number = 1; number <= to; number++) yield number;
 *   },
 * };
 * await using service = serve("sums", api);
 *
 * // Any other process:
 * using sums = connect<typeof api>("sums", { timeout: 5_000 });
 * assertEquals(await sums.add(1, 2), 3);
 * const numbers: number[] = [];
 * for await (const number of sums.count(3)) numbers.push(number);
 * assertEquals(numbers, [1, 2, 3]);
 * service.unlink();
 * ```
 *
 * @example Unit tests without processes, native code or permissions
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * // The code under test: it takes a target, and knows nothing about the test.
 * async function greetAll(target: string, names: string[]): Promise<string[]> {
 *   using greet = connect<(name: string) => string>(target, { timeout: 1_000 });
 *   return await Promise.all(names.map((name) => greet(name)));
 * }
 *
 * await using service = serve("memory:greeter", (name: string) => `Hello, ${name}!`);
 * assertEquals(await greetAll("memory:greeter", ["Ann", "Bob"]), ["Hello, Ann!", "Hello, Bob!"]);
 * assertEquals(service.stats().requests, 2);
 * ```
 *
 * @typeParam Api the interface: the type of the object that is served
 * @param target a name or a path, as for {@linkcode Client.open}; or `memory:NAME`, a service in this
 * thread, without native code and without a permission: for unit tests; or an open {@linkcode Client}, which
 * the connection takes over and closes when it ends: for anonymous channels; or
 * `nats://HOST:PORT,HOST:PORT/NAME`, a service on any machine, through NATS servers: see the option `nats`
 * @param options defaults for the calls: `timeout`, `signal`, `idempotent` and others
 * @returns the remote. `using`, or `remote[Symbol.dispose]()`, closes the connection, which cancels its
 * calls and ends its streams. A remote has no `close()`, because that may be a method of the other side
 * @throws {TandemError} `MISMATCH` for a handle of integers
 * @throws {TypeError} {RangeError} for wrong options
 */
export function connect<Api extends object>(
  target: ConnectTarget,
  options: ConnectOptions = {},
): Remote<Api> {
  const connection = new Connection(target, parseConnectOptions(options));
  return makeRemote(
    { target: connection.target, connection, options },
    () => connection.close(),
  ) as Remote<Api>;
}

/**
 * The same remote interface with other options for its calls. Both share one connection: disposing the
 * original closes it, disposing this one does nothing.
 *
 * @example
 * ```ts
 * import { setTimeout as sleep } from "node:timers/promises";
 * import { callContext, connect, serve, TandemError, withOptions } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const api = {
 *   async nap(ms: number): Promise<void> {
 *     await sleep(ms, undefined, { signal: callContext()?.signal });
 *   },
 * };
 * await using service = serve("patience", api);
 * using remote = connect<typeof api>("patience");
 *
 * const hasty = withOptions(remote, { timeout: 20 });
 * const error = await assertRejects(() => hasty.nap(60_000), TandemError);
 * assertEquals(error.code, "TIMEOUT");
 * service.unlink();
 * ```
 *
 * @param remote a remote that {@linkcode connect} or this function returned
 * @param options replace the remote's own options, one by one; `metadata` is added key by key
 * @throws {TypeError} for a value that is no remote; {RangeError} for wrong options
 */
export function withOptions<R extends Disposable>(remote: R, options: CallOptions): R {
  const found = stateOf(remote, "give options to");
  const metadata = mergeMetadata(found.options.metadata, options.metadata);
  const merged = { ...found.options, ...options, ...(metadata && { metadata }) };
  if (!metadata) delete merged.metadata;
  return remoteThrough({ ...found, options: merged }) as unknown as R;
}

/**
 * The state of a remote.
 *
 * @throws {TypeError} for a value that is no remote
 */
export function stateOf(remote: object, tried: string): RemoteState {
  const state = Object(remote) === remote ? states.get(remote) : undefined;
  if (state) return state;
  throw new TypeError(
    `Cannot ${tried} ${describe(remote)}: give a remote that connect() returned`,
  );
}

/** A remote that shares a connection with another one. */
export function remoteThrough(state: RemoteState): object {
  return makeRemote(state, () => {});
}

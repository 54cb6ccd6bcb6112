/**
 * What interfaces look like from far away. Nothing here is run: `deno check` and `tsc` are the test,
 * and a type that is too wide or too narrow fails them both.
 */
import {
  type Around,
  type AroundCall,
  type callContext,
  Client,
  type ClientCall,
  connect,
  type Everywhere,
  everywhere,
  type instance,
  type Metadata,
  type Next,
  type Proxied,
  proxy,
  type Remote,
  serve,
  Server,
  type ServiceCall,
  type Subscription,
  topic,
  validated,
  withOptions,
} from "../../mod.ts";

/** True when both types are the same, and not only alike. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

function expectType<_T extends true>(): void {}

export class Machine {
  protected hidden = 1;
  readonly label = "no method";
  #secret(): number {
    return this.hidden;
  }
  run(): number {
    return this.#secret();
  }
  protected repair(): void {}
}

interface Api {
  sync(a: number, b?: string): Date;
  promised(): Promise<Map<string, number>>;
  nothing(): void;
  // deno-lint-ignore no-explicit-any -- it is what the test is about
  whatever(): any;
  unknown(): unknown;
  never(): never;
  union(): string | Promise<number>;
  optional?(a: string): boolean;
  generator(): Generator<number, string, boolean>;
  asyncGenerator(): AsyncGenerator<number, string, boolean>;
  iterable(): AsyncIterable<Date>;
  stream(): ReadableStream<Uint8Array>;
  promisedStream(): Promise<ReadableStream<string>>;
  promisedGenerator(): Promise<AsyncGenerator<number, void, unknown>>;
  overloaded(a: string): string;
  overloaded(a: number): number;
  rest(first: string, ...rest: number[]): number;
  bytes(a: Uint8Array): Uint8Array<ArrayBuffer>;
  readonly constant: number;
  toString(): string;
  then(): void;
}

declare const api: Remote<Api>;

expectType<Same<typeof api.sync, (a: number, b?: string) => Promise<Date>>>();
expectType<Same<typeof api.promised, () => Promise<Map<string, number>>>>();
expectType<Same<typeof api.nothing, () => Promise<void>>>();
// deno-lint-ignore no-explicit-any -- as above
expectType<Same<typeof api.whatever, () => Promise<any>>>();
expectType<Same<typeof api.unknown, () => Promise<unknown>>>();
expectType<Same<typeof api.never, () => Promise<never>>>();
expectType<Same<typeof api.union, () => Promise<string | number>>>();
expectType<Same<typeof api.optional, (a: string) => Promise<boolean>>>();
expectType<Same<typeof api.generator, () => AsyncGenerator<number, string, boolean>>>();
expectType<Same<typeof api.asyncGenerator, () => AsyncGenerator<number, string, boolean>>>();
expectType<Same<typeof api.iterable, () => AsyncIterableIterator<Date>>>();
expectType<
  Same<typeof api.promisedGenerator, () => Promise<AsyncGenerator<number, void, unknown>>>
>();
expectType<Same<typeof api.overloaded, (a: number) => Promise<number>>>();
expectType<Same<typeof api.rest, (first: string, ...rest: number[]) => Promise<number>>>();
expectType<Same<typeof api.bytes, (a: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>>>();

/** The names that a remote has. */
type Names<R> = Exclude<keyof R, symbol>;

expectType<Same<Names<Remote<Machine>>, "run">>();
expectType<
  Same<
    Names<Remote<Api>>,
    | "sync"
    | "promised"
    | "nothing"
    | "whatever"
    | "unknown"
    | "never"
    | "union"
    | "optional"
    | "generator"
    | "asyncGenerator"
    | "iterable"
    | "stream"
    | "promisedStream"
    | "promisedGenerator"
    | "overloaded"
    | "rest"
    | "bytes"
  >
>();

declare const bare: Remote<(a: string) => Promise<number>>;
expectType<Same<ReturnType<typeof bare>, Promise<number>>>();

// deno-lint-ignore no-explicit-any -- as above
declare const loose: Remote<{ call: any }>;
loose[Symbol.dispose]();

/** Never called. */
export async function uses(): Promise<void> {
  const object = { add: (a: number, b: number) => a + b };
  await using service = serve("types", object, { concurrency: 1, slots: 4 });
  using remote = connect<typeof object>("types", { timeout: 1 });
  const sum: number = await remote.add(1, 2);
  const other: typeof remote = withOptions(remote, { timeout: 5 });
  // @ts-expect-error: a number is wanted
  await remote.add("1", 2);
  // @ts-expect-error: there is no such method
  await remote.subtract(1, 2);
  // @ts-expect-error: no such option
  withOptions(remote, { timeOut: 5 });
  // @ts-expect-error: not every object is a remote
  withOptions({}, {});
  // @ts-expect-error: a schema is wanted
  validated({}, () => {});
  for await (const item of api.stream()) expectType<Same<typeof item, Uint8Array>>();
  const { value } = await api.asyncGenerator().next(true);
  expectType<Same<typeof value, string | number>>();
  void [service, sum, other];
}

// One service, and all of them.
expectType<Same<ReturnType<typeof instance<Remote<Api>>>, Remote<Api>>>();
declare const all: Everywhere<Remote<Api>>;
type All<T> = Promise<PromiseSettledResult<T>[]>;
expectType<Same<typeof all.sync, (a: number, b?: string) => All<Date>>>();
expectType<Same<typeof all.nothing, () => All<void>>>();
expectType<
  Same<typeof all.asyncGenerator, () => All<AsyncGenerator<number, string, boolean>>>
>();
// @ts-expect-error -- it is no method
void all.constant;
// @ts-expect-error -- it is no remote
void everywhere({ pid: () => 1 });
const onAll = everywhere(connect<(name: string) => Promise<number>>("bare"));
expectType<Same<ReturnType<typeof onAll>, All<number>>>();

// Topics.
const words = topic<string>("words");
// @ts-expect-error -- it is a topic of strings
words.publish(1);
expectType<Same<ReturnType<typeof words.subscribe>, Subscription<string>>>();
// @ts-expect-error -- there is no such policy
void (() => words.subscribe({ overflow: "block" }));
/** Never called. */
export function aroundTypes(): void {
  // One function for both sides, and functions for one side.
  const both = (call: AroundCall, next: Next): unknown => call.method === "x" ? undefined : next();
  const narrow: Around<ServiceCall> = ({ peer, metadata, args }, next) => {
    expectType<Same<typeof metadata, Metadata>>();
    expectType<Same<typeof args, readonly unknown[]>>();
    return peer.uid === 0 ? next() : "refused";
  };
  serve("x", () => {}, { around: both });
  serve("x", () => {}, { around: narrow, signal: new AbortController().signal });
  connect<Api>("x", { around: both, metadata: { tenant: "a", count: 1n } });
  connect<Api>("x", {
    around: async (call, next) => {
      expectType<Same<typeof call, ClientCall>>();
      call.metadata = { ...call.metadata, token: "t" };
      call.timeout = 5;
      return await next();
    },
  });
  // @ts-expect-error -- a function of the service's side
  connect<Api>("x", { around: narrow });
  // @ts-expect-error -- metadata are an object
  withOptions(api, { metadata: "tenant" });
  expectType<Same<NonNullable<ReturnType<typeof callContext>>["metadata"], Metadata>>();
  const server = Server.anonymous();
  serve(server, () => {});
  connect<Api>(Client.fromFd(server.fd));
  // @ts-expect-error -- the wrong side
  serve(Client.fromFd(server.fd), () => {});
  // @ts-expect-error -- the wrong side
  connect<Api>(server);
}

interface Lending {
  render(page: number, progress: (percent: number) => void): void;
  stop(nested: { signal: AbortSignal }): AbortSignal;
  adder(first: number): (second: number) => number;
  laterAdder(): Promise<(first: number) => number>;
}

declare const lending: Remote<Lending>;

/** Never called. */
export async function lends(): Promise<void> {
  const double = proxy((value: number) => value * 2, { keep: true });
  expectType<Same<typeof double, ((value: number) => number) & Disposable>>();
  expectType<
    Same<Proxied<(value: number) => string>, ((value: number) => Promise<string>) & Disposable>
  >();
  expectType<
    Same<
      Proxied<(count: number) => Generator<string>>,
      ((count: number) => AsyncGenerator<string>) & Disposable
    >
  >();
  // The parameter has its type from the method.
  await lending.render(
    1,
    proxy((percent) => expectType<Same<typeof percent, number>>()),
  );
  const signal: AbortSignal = await lending.stop({ signal: AbortSignal.timeout(1) });
  const add = await lending.adder(1);
  expectType<Same<typeof add, Proxied<(second: number) => number>>>();
  const later = await lending.laterAdder();
  expectType<Same<typeof later, Proxied<(first: number) => number>>>();
  const sum: number = await add(2);
  add[Symbol.dispose]();
  // @ts-expect-error: only functions travel so
  proxy({ add: () => 1 });
  // @ts-expect-error: no such option
  proxy(() => 1, { kept: true });
  // @ts-expect-error: the function has another parameter
  await lending.render(1, proxy((percent: string) => percent));
  void [signal, sum];
}

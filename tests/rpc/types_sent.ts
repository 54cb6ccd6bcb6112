/**
 * Types that a remote keeps, changes and refuses. As in types.ts, `deno check` and `tsc` are the test, and
 * nothing is run.
 */
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import {
  connect,
  type Proxied,
  type Remote,
  type RemoteReadableCall,
  type Unsendable,
  validated,
} from "../../mod.ts";

/** True when both types are the same, and not only alike. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

function expectType<_T extends true>(): void {}

// Methods.

interface Item {
  readonly id: number;
}

interface Methods {
  optional?(a: string): boolean;
  optionalProperty?: (a: string) => Promise<boolean>;
  generic<T extends Item>(item: T, more?: T[]): Promise<T>;
  genericResult<T>(make: () => T): Promise<{ value: T }>;
  /** TypeScript cannot add the promise to a generic result. */
  genericSync<T extends Item>(item: T): T;
  overloaded(a: string): Promise<string>;
  overloaded(a: number): Promise<number>;
  mixed(a: string): string;
  mixed(a: number): Promise<number>;
  needsThis(this: Methods, a: number): Promise<number>;
  // deno-lint-ignore no-explicit-any -- it is what the test is about
  any(a: any): any;
  // deno-lint-ignore no-explicit-any -- as above
  anyLater(): Promise<any>;
  // deno-lint-ignore no-explicit-any -- as above
  anyMethod: any;
  thenable(): PromiseLike<number>;
  callback(done: (percent: number) => void, more: { retry?: () => Promise<void> }): number;
  callbackResult(): () => void;
  either: ((a: string) => number) | ((a: string) => Promise<boolean>);
  stream(): ReadableStream<Uint8Array>;
  later(): Promise<ReadableStream<string>>;
  upload(body: ReadableStream<Uint8Array>): Promise<number>;
  both(body: ReadableStream<string>): ReadableStream<number>;
}

declare const methods: Remote<Methods>;

expectType<Same<typeof methods.optional, (a: string) => Promise<boolean>>>();
expectType<Same<typeof methods.optionalProperty, (a: string) => Promise<boolean>>>();
expectType<
  Same<typeof methods.generic, <T extends Item>(item: T, more?: T[]) => Promise<T>>
>();
expectType<Same<typeof methods.genericResult, <T>(make: () => T) => Promise<{ value: T }>>>();
expectType<Same<typeof methods.genericSync, (item: Item) => Promise<Item>>>();
expectType<Same<typeof methods.mixed, (a: number) => Promise<number>>>();
expectType<Same<typeof methods.needsThis, (a: number) => Promise<number>>>();
// deno-lint-ignore no-explicit-any -- as above
expectType<Same<typeof methods.any, (a: any) => Promise<any>>>();
// deno-lint-ignore no-explicit-any -- as above
expectType<Same<typeof methods.anyLater, () => Promise<any>>>();
// deno-lint-ignore no-explicit-any -- as above
expectType<Same<typeof methods.anyMethod, (...args: any[]) => Promise<any>>>();
expectType<Same<typeof methods.thenable, () => Promise<number>>>();
expectType<Same<ReturnType<typeof methods.callback>, Promise<number>>>();
expectType<Same<typeof methods.callbackResult, () => Promise<Proxied<() => void>>>>();
expectType<Same<ReturnType<typeof methods.either>, Promise<number> | Promise<boolean>>>();

export class Base {
  protected guarded(): void {}
  inherited(): number {
    return 1;
  }
}
export class Derived extends Base {
  #secret = 1;
  private hidden(): number {
    return this.#secret;
  }
  own(): number {
    return this.hidden();
  }
}
expectType<Same<Exclude<keyof Remote<Derived>, symbol>, "inherited" | "own">>();

declare const generic: Remote<<T>(value: T) => Promise<T[]>>;
// deno-lint-ignore no-explicit-any -- it is what the test is about
declare const anything: Remote<any>;

/** Never called. */
export async function callsMethods(): Promise<void> {
  const one: boolean = await methods.optional("a");
  const item: { id: number; name: string } = await methods.generic({ id: 1, name: "a" });
  const { value }: { value: Date } = await methods.genericResult(() => new Date());
  const text: string = await methods.overloaded("a");
  const number: number = await methods.overloaded(1);
  const list: string[] = await generic("a");
  const whatever: string = await anything["method"]!(1, "a");
  const more: number = await anything(1);
  // @ts-expect-error: its result has no name
  const { name }: { name: string } = await methods.generic({ id: 1 });
  // @ts-expect-error: an item is wanted
  await methods.generic({ name: "a" });
  // @ts-expect-error: only the last signature is left, because the first one returns no promise
  await methods.mixed("a");
  // @ts-expect-error: a text is wanted
  await methods.optional(1);
  void [one, item, value, text, number, list, whatever, more, name];
}

// Streams.

expectType<
  Same<
    typeof methods.stream,
    () => RemoteReadableCall<Uint8Array>
  >
>();
expectType<
  Same<typeof methods.later, () => RemoteReadableCall<string>>
>();
expectType<
  Same<typeof methods.upload, (body: ReadableStream<Uint8Array>) => Promise<number>>
>();

/** Never called. */
export async function callsStreams(): Promise<void> {
  const now: ReadableStream<Uint8Array> = methods.stream();
  const later: ReadableStream<Uint8Array> = await methods.stream();
  for await (const bytes of methods.stream()) expectType<Same<typeof bytes, Uint8Array>>();
  for await (const bytes of await methods.stream()) expectType<Same<typeof bytes, Uint8Array>>();
  const { value } = await methods.stream().getReader().read();
  expectType<Same<typeof value, Uint8Array | undefined>>();
  await methods.later().cancel("enough");
  for await (const number of methods.both(await methods.later())) {
    expectType<Same<typeof number, number>>();
  }
  // @ts-expect-error: a stream of texts is wanted
  methods.both(methods.stream());
  void [now, later];
}

// Types that cannot be sent.

type Deep = { readonly next: Deep | null; readonly left?: Deep; readonly all: Deep[] };
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export class Instance {
  readonly bytes: Uint8Array = new Uint8Array(0);
  get ready(): Promise<void> {
    return Promise.resolve();
  }
  get cache(): WeakMap<object, number> {
    return new WeakMap();
  }
  load(): void {}
}
interface Options {
  readonly signal?: AbortSignal;
  readonly marker?: symbol;
  readonly either: string | symbol;
  readonly onChange?: (key: symbol) => void;
}

interface Sends {
  deep(value: Deep): Deep;
  json(value: Json): Json;
  instance(value: Instance, values: Instance[]): Instance;
  options(options: Options): void;
  maps(a: Map<string, Date>, b: Set<bigint>, c: ReadonlyMap<unknown, Blob>): File;
  unknown(a: unknown, b: object, c: Record<string, unknown>, d: never[]): unknown;
  buffers(a: SharedArrayBuffer, b: Int32Array<SharedArrayBuffer>): Uint8Array;
  errors(a: Error, b: AggregateError): DOMException;
  symbol(name: string, key: symbol): void;
  weakMap(map: WeakMap<object, number>): void;
  weakSet(set: WeakSet<object>): void;
  weakRef(ref: WeakRef<object>): void;
  promise(value: Promise<number>): void;
  nested(value: { readonly a: { readonly list: readonly { key: symbol }[] } }): void;
  nestedPromise(value: { user: Promise<string>; name: string }): void;
  inMap(value: Map<string, WeakMap<object, number>>): void;
  result(): symbol;
  laterResult(): Promise<WeakMap<object, number>>;
  resultProperty(): { name: string; loaded: Promise<boolean> };
}

declare const sends: Remote<Sends>;

expectType<Same<typeof sends.deep, (value: Deep) => Promise<Deep>>>();
expectType<Same<typeof sends.json, (value: Json) => Promise<Json>>>();
expectType<
  Same<typeof sends.instance, (value: Instance, values: Instance[]) => Promise<Instance>>
>();
expectType<Same<typeof sends.options, (options: Options) => Promise<void>>>();
expectType<
  Same<
    typeof sends.maps,
    (a: Map<string, Date>, b: Set<bigint>, c: ReadonlyMap<unknown, Blob>) => Promise<File>
  >
>();
expectType<
  Same<
    typeof sends.unknown,
    (a: unknown, b: object, c: Record<string, unknown>, d: never[]) => Promise<unknown>
  >
>();
expectType<
  Same<
    typeof sends.buffers,
    (a: SharedArrayBuffer, b: Int32Array<SharedArrayBuffer>) => Promise<Uint8Array>
  >
>();
expectType<
  Same<typeof sends.errors, (a: Error, b: AggregateError) => Promise<DOMException>>
>();

expectType<
  Same<
    typeof sends.symbol,
    (name: string, key: Unsendable<"a symbol cannot be sent">) => Promise<void>
  >
>();
expectType<
  Same<
    Parameters<typeof sends.nested>,
    [value: Unsendable<"a.list[].key: a symbol cannot be sent">]
  >
>();
expectType<
  Same<
    Parameters<typeof sends.inMap>,
    [value: Unsendable<"(value): a WeakMap cannot be sent: send a Map">]
  >
>();
expectType<Same<typeof sends.result, () => Unsendable<"a symbol cannot be sent">>>();
expectType<
  Same<
    typeof sends.laterResult,
    () => Unsendable<"a WeakMap cannot be sent: send a Map">
  >
>();
expectType<
  Same<
    typeof sends.resultProperty,
    () => Unsendable<"loaded: a Promise cannot be sent: await it first">
  >
>();

/** Never called. */
export async function callsUnsendable(): Promise<void> {
  // @ts-expect-error: a symbol cannot be sent
  await sends.symbol("a", Symbol("b"));
  // @ts-expect-error: a WeakMap cannot be sent
  await sends.weakMap(new WeakMap());
  // @ts-expect-error: a WeakSet cannot be sent
  await sends.weakSet(new WeakSet());
  // @ts-expect-error: a WeakRef cannot be sent
  await sends.weakRef(new WeakRef({}));
  // @ts-expect-error: a Promise cannot be sent
  await sends.promise(Promise.resolve(1));
  // @ts-expect-error: a Promise cannot be sent
  await sends.nestedPromise({ user: Promise.resolve("a"), name: "b" });
  // @ts-expect-error: a Promise cannot be sent
  const { loaded } = await sends.resultProperty();
  await sends.options({ either: "a", onChange: () => {} });
  await sends.instance(new Instance(), []);
  void loaded;
}

// Methods with a schema.

/** Nothing is served: only the types matter. */
declare const parameters: {
  zod: typeof withZod;
  zodRest: typeof withZodRest;
  valibot: typeof withValibot;
  valibotRest: typeof withValibotRest;
  arktype: typeof withArktype;
};
const withZod = validated(
  z.tuple([z.string(), z.number().optional(), z.boolean().default(true)]),
  (name, width, crop) => {
    expectType<Same<typeof width, number | undefined>>();
    expectType<Same<typeof crop, boolean>>();
    return name;
  },
);
const withZodRest = validated(z.tuple([z.string()], z.number()), (name, ...sizes) => {
  expectType<Same<typeof sizes, number[]>>();
  return name;
});
const withValibot = validated(
  v.tuple([v.string(), v.optional(v.number()), v.optional(v.boolean(), true)]),
  (name, width, crop) => {
    expectType<Same<typeof width, number | undefined>>();
    expectType<Same<typeof crop, boolean>>();
    return name;
  },
);
const withValibotRest = validated(v.tupleWithRest([v.string()], v.number()), (name) => name);
const withArktype = validated(type(["string", "number?"]), (name, width) => {
  expectType<Same<typeof width, number | undefined>>();
  return name;
});
const withUnknown = validated(v.tuple([v.unknown(), v.any()]), (a) => typeof a);
const withRequired = validated(
  z.tuple([z.string().optional(), z.number()]),
  (name, width) => `${name}${width}`,
);

expectType<Same<Parameters<typeof withZodRest>, [string, ...number[]]>>();
expectType<Same<Parameters<typeof withValibotRest>, [string, ...number[]]>>();
expectType<Same<Parameters<typeof withRequired>, [string | undefined, number]>>();
// deno-lint-ignore no-explicit-any -- what v.any() takes
expectType<Same<Parameters<typeof withUnknown>, [unknown, any]>>();

/** Never called. */
export async function callsValidated(): Promise<void> {
  using remote = connect<typeof parameters>("types");
  await remote.zod("a");
  await remote.zod("a", 1);
  await remote.zod("a", undefined, false);
  await remote.zodRest("a", 1, 2);
  await remote.valibot("a");
  await remote.valibot("a", 1, false);
  await remote.valibotRest("a", 1, 2);
  await remote.arktype("a");
  await remote.arktype("a", 1);
  // @ts-expect-error: the name is not optional
  await remote.zod();
  // @ts-expect-error: the name is not optional
  await remote.valibot();
  // @ts-expect-error: the name is not optional
  await remote.arktype();
  // @ts-expect-error: a number is wanted
  await remote.valibot("a", "b");
  // @ts-expect-error: there are no more parameters
  await remote.valibot("a", 1, false, 2);
}

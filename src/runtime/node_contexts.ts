/**
 * The asynchronous context in Node.
 *
 * Node has two kinds. In a newer one, a context is a map that nobody changes (`AsyncContextFrame`, the default since
 * version 24). In the older one, each resource has the values as properties, which `enterWith` changes.
 * Behaviour decides, since flags choose either kind.
 *
 * @module
 */
import type { ContextRunner, ContextVariable } from "./backend.ts";

interface Variable<T> extends ContextVariable<T> {
  enterWith(value: T): void;
  disable(): void;
}

interface Resource {
  runInAsyncScope<A extends unknown[], R>(
    body: (...values: A) => R,
    receiver: undefined,
    ...values: A
  ): R;
}

interface AsyncHooks {
  readonly AsyncLocalStorage: new <T>() => Variable<T>;
  readonly AsyncResource: new (type: string) => Resource;
}

interface Global {
  readonly process: { getBuiltinModule(name: "node:async_hooks"): AsyncHooks };
}

// Its `process` is not read here: Deno would load its modules for Node.
const global = globalThis as unknown as Global;

let hooks: AsyncHooks | undefined;
let keepsChanges: boolean | undefined;

function asyncHooks(): AsyncHooks {
  return hooks ??= global.process.getBuiltinModule("node:async_hooks");
}

/** Has the context in which it was made. People see its type where they watch resources. */
function newScope(): Resource {
  return new (asyncHooks().AsyncResource)("TANDEM_CONTEXT");
}

/** Whether a resource shows the changes that code in its scope has made: the older kind. */
function isOlderKind(): boolean {
  return keepsChanges ??= findOlderKind();
}

function findOlderKind(): boolean {
  const variable = new (asyncHooks().AsyncLocalStorage)<boolean>();
  const scope = newScope();
  scope.runInAsyncScope(() => variable.enterWith(true), undefined);
  const isKept = scope.runInAsyncScope(() => variable.getStore() === true, undefined);
  variable.disable();
  return isKept;
}

/**
 * See {@linkcode Backend.captureContext}. `AsyncLocalStorage.snapshot()` is a resource with two more function calls
 * around it, and five times as slow; in the older kind it keeps changes.
 */
export function captureContext(): ContextRunner {
  const captured = newScope();
  if (!isOlderKind()) {
    return (body, argument) => captured.runInAsyncScope(body, undefined, argument);
  }
  return (body, argument) => {
    const inCopy = () => newScope().runInAsyncScope(body, undefined, argument);
    return captured.runInAsyncScope(inCopy, undefined);
  };
}

/** See {@linkcode Backend.contextVariable}. */
export function contextVariable<T>(): ContextVariable<T> {
  const variable = new (asyncHooks().AsyncLocalStorage)<T>();
  return isOlderKind() ? variable : new FrameVariable(variable);
}

/**
 * An `AsyncLocalStorage` that copies the map once for each run, to enter it. `run` itself copies it again to leave,
 * which takes half the time.
 */
class FrameVariable<T> implements ContextVariable<T> {
  readonly #variable: Variable<T>;

  constructor(variable: Variable<T>) {
    this.#variable = variable;
  }

  run<R>(value: T, body: () => R): R {
    return newScope().runInAsyncScope(enter<T, R>, undefined, this.#variable, value, body);
  }

  getStore(): T | undefined {
    return this.#variable.getStore();
  }
}

function enter<T, R>(variable: Variable<T>, value: T, body: () => R): R {
  variable.enterWith(value);
  return body();
}

/** Error classes that both sides know by a registered name. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { connect, RemoteError, serve } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { rejection, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

/** As a minifier leaves it, with its name taken from the class. */
class a extends Error {
  readonly #more: number = 1;

  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  more(): number {
    return this.#more;
  }
}
/** Its name is written down. */
class b extends RangeError {
  override name = "QuotaError";
}
/** It has no name of its own. */
class c extends Error {}
class Deeper extends b {}

const api = {
  fail(kind: string): never {
    if (kind === "a") throw Object.assign(new a("of a"), { id: 7 });
    if (kind === "b") throw new b("of b", { cause: new a("inside") });
    if (kind === "deeper") throw new Deeper("deeper");
    throw new c("of c");
  },
  echo: <T>(value: T) => value,
  check: (error: unknown) => [error instanceof a, (error as Error).name],
};

for (const { title, newTarget } of transports) {
  test(`${title}: errors by name: class, name, cause and subclasses, whatever the classes are called`, async () => {
    const target = newTarget();
    await using _service = serve(target, api, {
      errors: { NotFound: a, QuotaError: b, Plain: c },
    });
    class NotFound extends Error {
      status = 404;
      isHere(): boolean {
        return true;
      }
    }
    class x extends RangeError {}
    class y extends Error {}
    const errors = { NotFound, QuotaError: x, Plain: y };
    using remote = connect<typeof api>(target, { timeout: 30_000, errors });
    const first = await rejection<NotFound & { id?: number }>(remote.fail("a"));
    assertInstanceOf(first, NotFound);
    assertEquals([first.name, first.message, first.id], ["NotFound", "of a", 7]);
    // The constructor did not run, the methods are there.
    assertEquals([first.status, first.isHere()], [undefined as unknown as number, true]);
    const second = await rejection(remote.fail("b"));
    assertInstanceOf(second, x);
    assertEquals([second.name, second.message], ["QuotaError", "of b"]);
    assertInstanceOf(second.cause, NotFound);
    assertEquals(second.cause.name, "NotFound");
    const third = await rejection(remote.fail("deeper"));
    assertInstanceOf(third, x);
    assertEquals(third.name, "QuotaError");
    const fourth = await rejection(remote.fail("c"));
    assertInstanceOf(fourth, y);
    assertEquals(fourth.name, "Error");
    // As a value, in both directions.
    class Further extends NotFound {}
    const echoed = await remote.echo(new Further("up and down"));
    assert(echoed instanceof NotFound && !(echoed instanceof Further));
    assertEquals(await remote.check(new NotFound("a")), [true, "Error"]);
  });

  test(`${title}: errors by name: an object on one side, a list on the other`, async () => {
    const target = newTarget();
    class QuotaError extends Error {}
    await using _service = serve(target, api, { errors: { QuotaError: b } });
    using remote = connect<typeof api>(target, { timeout: 30_000, errors: [QuotaError] });
    assertInstanceOf(await rejection(remote.fail("b")), QuotaError);
    // The client does not know this one.
    const error = await rejection<RemoteError>(remote.fail("a"));
    assertInstanceOf(error, RemoteError);
    assertEquals(error.remoteName, "a");
    class Other extends Error {}
    using other = connect<typeof api>(target, { timeout: 30_000, errors: { b: Other } });
    assertInstanceOf(await rejection(other.fail("b")), RemoteError);
  });
}

for (const site of sites) {
  test(`${site.title}: an error class goes by its key, not by its own name`, async () => {
    class a extends Error {}
    using there = await typedAt(site, {}, { errors: { CustomError: a } });
    const error = await rejection<a & { details: unknown }>(there.remote.fail("custom"));
    assertInstanceOf(error, a);
    assertEquals([error.name, error.message], ["CustomError", "of its own"]);
    assertEquals(error.details, new Map([["one", 1]]));
    const [value] = await there.remote.echo(new a("there and back"));
    assertInstanceOf(value, a);
  });
}

test("errors by name: classes of the runtime can be registered, and DOMExceptions", async () => {
  const target = transports[1]!.newTarget();
  class Stopped extends DOMException {}
  const errors = { Range: RangeError, DOMException, Stopped };
  const api = {
    fail(kind: string): never {
      throw kind === "range" ? new RangeError("r") : new DOMException("d", "AbortError");
    },
    echo: (value: unknown) => value,
  };
  await using _service = serve(target, api, { errors });
  using remote = connect<typeof api>(target, { timeout: 30_000, errors });
  const range = await rejection(remote.fail("range"));
  assert(range instanceof RangeError && !(range instanceof RemoteError));
  assertEquals([range.name, range.message], ["RangeError", "r"]);
  const abort = await rejection(remote.fail("abort"));
  assertInstanceOf(abort, DOMException);
  assertEquals([abort.name, abort.code], ["AbortError", 20]);
  const stopped = await remote.echo(new Stopped("s", "TimeoutError")) as Stopped;
  assertInstanceOf(stopped, Stopped);
  assertEquals([stopped.name, stopped.message, stopped.code], ["TimeoutError", "s", 23]);
  const both = new SuppressedError(new RangeError("later"), new TypeError("first"), "two");
  const found = await remote.echo(both) as SuppressedError;
  assertInstanceOf(found, SuppressedError);
  assertInstanceOf(found.error, RangeError);
  assertInstanceOf(found.suppressed, TypeError);
  assertEquals([found.message, Object.keys(found)], ["two", []]);
});

test("errors that clash, or are no classes of errors, are a TypeError that says so", () => {
  class Twin extends Error {}
  const other = { Twin: class Twin extends Error {} }.Twin;
  const wrong: [unknown, string][] = [
    [[Twin, other], "another class has this name already"],
    [{ One: Twin, Two: Twin }, 'registered as "One" already'],
    [{ TypeError: Twin }, "the name of a class of the language"],
    [{ DOMException: Twin }, "the name of a class of the language"],
    [{ Twin: Date }, "that extend Error"],
    [{ Twin: null }, "Cannot register null"],
    [{ Twin: new Twin() }, "that extend Error"],
    [{ "": Twin }, "with a name"],
    [[class extends Error {}], "with a name"],
    [[null], "Cannot register null"],
    [7, "Cannot use 7 as errors"],
    [null, "Cannot use null as errors"],
  ];
  for (const [errors, text] of wrong) {
    const options = { errors } as unknown as { errors: [] };
    assertThrows(() => connect("memory:never", options), TypeError, text);
    assertThrows(() => serve("memory:never", {}, options), TypeError, text);
  }
  // The same class twice under one name is no clash.
  using _remote = connect("memory:never", { errors: [Twin, Twin] });
});

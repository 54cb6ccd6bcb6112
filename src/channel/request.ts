/**
 * A request in a server's hands.
 *
 * @module
 */
import { notConstructible } from "../base/maker.ts";
import type { Peer } from "../base/peer.ts";
import type { Payload } from "./payload.ts";
import { RequestCore } from "./request_core.ts";
import { decodeText } from "./encoding.ts";

/**
 * A request in a server's hands, until it replies or fails.
 *
 * @example
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 * using call = client.sendSync("2");
 *
 * const request = server.tryReceive()!;
 * assertEquals(request.text(), "2");
 * assertEquals(request.reply("4"), true);
 * assertEquals(request.reply("5"), false);
 * assertEquals(new TextDecoder().decode(call.getSync()), "4");
 * ```
 */
export class ServerRequest {
  readonly #core: RequestCore;

  private constructor(core: RequestCore) {
    if (!(core instanceof RequestCore)) {
      throw notConstructible(
        "ServerRequest",
        "server.receive() or another method that takes requests",
      );
    }
    this.#core = core;
  }

  /** Unique in the channel's life; the client's call has the same. */
  get id(): bigint {
    return this.#core.id;
  }

  /**
   * The request in shared memory, valid until reply, fail or close. Views share one `ArrayBuffer`:
   * respect `byteOffset`, and do not transfer `buffer`, as `controller.enqueue` of a byte stream,
   * `postMessage` and `structuredClone` can. A transfer empties the views of other requests that your
   * code holds; read this property again to get a new view.
   *
   * Your own code may read the view: indexing, `for of`, `DataView`, typed arrays, `set`, `slice`. Do
   * not pass it to a native function of the runtime, such as `TextDecoder`, `JSON`, `Blob`,
   * `Response`, `Buffer.toString`, `crypto`, `zlib` or `WebAssembly`. Any participant can change the
   * bytes while such a function reads them, which may crash the process, and functions that work in
   * another thread may still read when the view is no longer valid. Use {@linkcode copy},
   * {@linkcode text} or {@linkcode json} instead.
   *
   * @throws {TandemError} `CLOSED`
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#core.bytes;
  }

  /**
   * A private copy of the request. It stays valid, no other process can change it, and your code may pass
   * it to any function of the runtime.
   *
   * @example Hash a request
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync(new Uint8Array(1_000));
   *
   * const request = server.tryReceive()!;
   * request.reply(await crypto.subtle.digest("SHA-256", request.copy()));
   * assertEquals(call.getSync().byteLength, 32);
   * ```
   *
   * @throws {TandemError} `CLOSED`
   */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#core.bytes.slice();
  }

  /** Whether the client sent a string. */
  get isText(): boolean {
    return this.#core.isText;
  }

  /**
   * The request decoded as UTF-8, from a private copy.
   *
   * @throws {TandemError} `CLOSED`
   */
  text(): string {
    return decodeText(this.#core.bytes);
  }

  /**
   * The request parsed as JSON, from a private copy.
   *
   * @throws {SyntaxError} when it is no JSON
   * @throws {TandemError} `CLOSED`
   */
  json(): unknown {
    return JSON.parse(this.text());
  }

  /** 1 at the first delivery, one more after each death of a server. */
  get deliveries(): number {
    return this.#core.deliveries;
  }

  /** Whether it was posted: an answer is discarded. */
  get oneWay(): boolean {
    return this.#core.oneWay;
  }

  /** Whether the client no longer waits for the answer. */
  get cancelled(): boolean {
    return this.#core.cancelled;
  }

  /**
   * The process that sent the request, as it describes itself; see {@linkcode Peer}. Read it before you
   * reply: afterwards it is unknown, unless you have read it before.
   */
  get peer(): Peer {
    return this.#core.peer;
  }

  /** Milliseconds left of the client's deadline; Infinity if it has none. */
  get timeRemaining(): number {
    return this.#core.timeRemaining;
  }

  /**
   * Aborts when the client cancels, times out or dies. Its reason is a {@linkcode TandemError} with the
   * code `CANCELLED` or `TIMEOUT`.
   *
   * @example Stop working when the client no longer waits
   * ```ts
   * import { Client, Server, TandemError } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("a lot of work");
   * const { signal } = server.tryReceive()!;
   *
   * const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
   * call.cancel();
   * await stopped;
   * assertEquals((signal.reason as TandemError).code, "CANCELLED");
   * ```
   */
  get signal(): AbortSignal {
    return this.#core.signal;
  }

  /**
   * Response memory to fill in place and hand to {@linkcode reply}, which then copies nothing. It is
   * shared memory like {@linkcode bytes}: write to it with your own code, `set` or `fill`. A native
   * function that only writes, such as `readSync`, may fill it. Do not pass it to a function that reads
   * it back.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("three bytes, please");
   *
   * const request = server.tryReceive()!;
   * const response = request.allocate(3);
   * response.set([1, 2, 3]);
   * request.reply(response);
   * assertEquals([...call.getSync()], [1, 2, 3]);
   * ```
   *
   * @param byteLength the length of the answer in bytes
   * @throws {TandemError} `TOO_LARGE` when it is over `maxResponseBytes`; `NO_SPACE` when memory is
   * full; `CLOSED` when the request is answered already or the server is closed
   * @throws {RangeError} when `byteLength` is no length
   */
  allocate(byteLength: number): Uint8Array<ArrayBuffer> {
    return this.#core.allocate(byteLength);
  }

  /**
   * Replies to the request.
   *
   * @param payload bytes, or a string to send as UTF-8; default: an empty string
   * @returns true: the client gets the answer; false: the request was cancelled, timed out, cleared or
   * answered already, or this server was presumed dead
   * @throws {TandemError} `TOO_LARGE` and `NO_SPACE`, after which the request stays open for a shorter
   * answer; `CLOSED`
   * @throws {TypeError} when `payload` is no payload
   */
  reply(payload: Payload = ""): boolean {
    return this.#core.reply(payload);
  }

  /**
   * Fails the call: the client gets a {@linkcode RemoteError}.
   *
   * @example
   * ```ts
   * import { Client, RemoteError, Server } from "@tandem/ipc";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("half a picture");
   * server.tryReceive()?.fail(new SyntaxError("no picture", { cause: "the end is missing" }));
   *
   * const error = assertThrows(() => call.getSync(), RemoteError);
   * assertEquals([error.remoteName, error.remoteMessage], ["SyntaxError", "no picture"]);
   * assertEquals(error.cause, "the end is missing");
   * ```
   *
   * @param error anything; the client gets the name, message, stack, cause and own properties of an
   * `Error`, cut if they do not fit
   * @returns false: as {@linkcode reply}
   * @throws {TandemError} `CLOSED`
   */
  fail(error: unknown): boolean {
    return this.#core.fail(error);
  }
}

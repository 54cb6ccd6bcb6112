/**
 * Options of doors.
 *
 * @module
 */
import { checkTimeout, checkWhole, describe } from "../base/checks.ts";
import { checkEndpoint, defaultFrontend } from "./endpoint.ts";

/** CURVE, the encryption of ZeroMQ. Keys are strings in Z85, of 40 characters. */
export interface ZmqCurve {
  /** The door's secret key. Clients need the public key that belongs to it. */
  secretKey: string;
  /**
   * The public keys of the clients that may connect. Default: everybody who has the door's public key.
   */
  allow?: readonly string[];
}

/** How ZeroMQ clients reach a channel or a pool. All times are in milliseconds. */
export interface ZmqFrontend {
  /**
   * Where the door listens: `tcp://HOST:PORT` or `ipc://PATH`. Port 0 is a free one: see
   * {@linkcode ZmqDoor.endpoint}. Only this machine reaches the default. `tcp://*:6660` lets in the whole network:
   * use it with {@linkcode curve}.
   *
   * @default "tcp://127.0.0.1:6660"
   */
  frontend?: string;
  /**
   * What a client gets when its call fails: the frames `TANDEM-ERROR`, code and message, or nothing, as
   * lazy pirates expect, which ask again when their time is over.
   *
   * @default "frame"
   */
  errors?: "frame" | "silent";
  /**
   * The first frame of each request is its id, unique for the client's identity. The answer begins with it. A client
   * that asks again with the same id gets the answer that was given before, and nothing runs twice.
   *
   * @default false
   */
  idFrame?: boolean;
  /**
   * How long answers are kept for clients that ask again: with {@linkcode idFrame} all of them, otherwise those that
   * could not be delivered because the client's connection was gone.
   *
   * @default 60000
   */
  remember?: number;
  /**
   * The longest request. A longer one gets the error `TOO_LARGE`. The connection of one that is more than twice as
   * long is cut when it announces it. The channel's `maxRequestBytes` bounds requests, too.
   *
   * @default 1048576
   */
  maxMessageBytes?: number;
  /**
   * How many messages wait at most on the way from one client, and as many on the way to it. Answers for a client that
   * does not read are dropped beyond that.
   *
   * @default 1000
   */
  highWaterMark?: number;
  /** Encrypts connections, and tells who the clients are. Default: none. */
  curve?: ZmqCurve;
  /**
   * The method that requests call, where the target is a service or a pool with several methods. It gets the payload
   * as a `Uint8Array` and returns bytes or a string. Default: the function that is served, or the only method.
   */
  method?: string;
  /**
   * For each call; then it fails with `TIMEOUT`.
   *
   * @default Infinity
   */
  timeout?: number;
}

/** Options of {@linkcode ZmqDoor}. */
export interface ZmqDoorOptions extends ZmqFrontend {
  /** The channel, service or pool to call: its name or path. If it does not exist yet, the door waits for it. */
  target: string;
  /**
   * Whether lists of processes show this process as `tandem zmq FRONTEND TARGET`.
   *
   * @default false
   */
  title?: boolean;
}

/** The options, checked and complete, as they travel to the door's Worker. */
export interface FrontendTerms {
  readonly frontend: string;
  readonly errors: "frame" | "silent";
  readonly idFrame: boolean;
  readonly remember: number;
  readonly maxMessageBytes: number;
  readonly highWaterMark: number;
  readonly curve: { readonly secretKey: string; readonly allow: readonly string[] | null } | null;
  readonly method: string | undefined;
  /** NaN: for ever. */
  readonly timeout: number;
}

/** The longest message for which a buffer can be made. */
const messageBytesMax = 2 ** 30;

/** @throws {TypeError} {RangeError} for wrong options */
export function parseFrontend(options: ZmqFrontend): FrontendTerms {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot use ${describe(options)} as options of a ZeroMQ door: give an object`,
    );
  }
  const { frontend = defaultFrontend, errors = "frame", idFrame = false, remember = 60_000 } =
    options;
  const { maxMessageBytes = 2 ** 20, highWaterMark = 1_000, curve, method, timeout = Infinity } =
    options;
  if (errors !== "frame" && errors !== "silent") {
    throw new TypeError(`Cannot use ${describe(errors)} as errors: give "frame" or "silent"`);
  }
  if (typeof idFrame !== "boolean") {
    throw new TypeError(`Cannot use ${describe(idFrame)} as idFrame: give true or false`);
  }
  if (method !== undefined && (typeof method !== "string" || method === "")) {
    throw new TypeError(`Cannot use ${describe(method)} as method: give the name of a method`);
  }
  const remembered = checkTimeout(remember, "remember");
  return {
    frontend: checkEndpoint(frontend, "frontend"),
    errors,
    idFrame,
    remember: Number.isNaN(remembered) ? Infinity : remembered,
    maxMessageBytes: checkWhole(maxMessageBytes, "maxMessageBytes", 1, messageBytesMax),
    highWaterMark: checkWhole(highWaterMark, "highWaterMark", 1, 2 ** 31 - 1),
    curve: curve === undefined ? null : parseCurve(curve),
    method,
    timeout: checkTimeout(timeout, "timeout"),
  };
}

function parseCurve(curve: ZmqCurve): FrontendTerms["curve"] {
  if (typeof curve !== "object" || curve === null) {
    throw new TypeError(`Cannot use ${describe(curve)} as curve: give { secretKey, allow }`);
  }
  const { secretKey, allow } = curve;
  checkKey(secretKey, "curve.secretKey", true);
  if (allow === undefined) return { secretKey, allow: null };
  if (!Array.isArray(allow)) {
    throw new TypeError(
      `Cannot use ${describe(allow)} as curve.allow: give an array of public keys`,
    );
  }
  return { secretKey, allow: allow.map((key) => checkKey(key, "a key of curve.allow", false)) };
}

const z85 = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

/** @throws {TypeError} for anything but a key */
export function checkKey(key: unknown, name: string, isSecret: boolean): string {
  if (typeof key === "string" && z85.test(key)) return key;
  // A message must not show a secret.
  const shown = isSecret ? `a value of type ${typeof key}` : describe(key);
  throw new TypeError(
    `Cannot use ${shown} as ${name}: give a key in Z85, a string of 40 characters`,
  );
}

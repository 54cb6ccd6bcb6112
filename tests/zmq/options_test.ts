/** Options of doors, and addresses. */
import { assert, assertEquals } from "@std/assert";
import { checkEndpoint, needsIpv6 } from "../../src/zmq/endpoint.ts";
import { parseFrontend, type ZmqFrontend } from "../../src/zmq/options.ts";
import { ZmqDoor } from "../../src/zmq/main.ts";
import { assertRefused } from "../support/bad_input_assert.ts";
import { assertThrowsCode, test } from "../support/harness.ts";

/** Keys of the ZeroMQ specification, which anybody knows. */
const secretKey = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
const publicKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

const wrong = (options: unknown) => () => parseFrontend(options as ZmqFrontend);

test("no options: those that the documents promise", () => {
  assertEquals(parseFrontend({}), {
    frontend: "tcp://127.0.0.1:6660",
    errors: "frame",
    idFrame: false,
    remember: 60_000,
    maxMessageBytes: 1_048_576,
    highWaterMark: 1_000,
    curve: null,
    method: undefined,
    timeout: NaN,
  });
});

test("all options: as they were given", () => {
  assertEquals(
    parseFrontend({
      frontend: "ipc:///run/door",
      errors: "silent",
      idFrame: true,
      remember: Infinity,
      maxMessageBytes: 2 ** 30,
      highWaterMark: 1,
      curve: { secretKey, allow: [publicKey] },
      method: "work",
      timeout: 0,
    }),
    {
      frontend: "ipc:///run/door",
      errors: "silent",
      idFrame: true,
      remember: Infinity,
      maxMessageBytes: 2 ** 30,
      highWaterMark: 1,
      curve: { secretKey, allow: [publicKey] },
      method: "work",
      timeout: 0,
    },
  );
  assertEquals(parseFrontend({ curve: { secretKey } }).curve, { secretKey, allow: null });
  assertEquals(parseFrontend({ curve: { secretKey, allow: [] } }).curve, { secretKey, allow: [] });
});

test("options that are no object: a TypeError", () => {
  for (const options of [null, undefined, "tcp://*:1", 5, () => {}]) {
    assertRefused(wrong(options), TypeError, "options of a ZeroMQ door", "give an object");
  }
});

test("errors, idFrame and method: a TypeError that says what to give", () => {
  for (const errors of ["frames", "", null, true, 1]) {
    assertRefused(wrong({ errors }), TypeError, "as errors", '"frame" or "silent"');
  }
  for (const idFrame of ["yes", null, 1, {}]) {
    assertRefused(wrong({ idFrame }), TypeError, "as idFrame", "true or false");
  }
  for (const method of ["", null, 1, () => {}, Symbol("x")]) {
    assertRefused(wrong({ method }), TypeError, "as method", "the name of a method");
  }
});

test("times: a RangeError below 0 and for NaN, a TypeError for what is no number", () => {
  for (const name of ["remember", "timeout"]) {
    for (const value of [-1, NaN, -Infinity]) {
      assertRefused(wrong({ [name]: value }), RangeError, `${value}`, name, "milliseconds");
    }
    for (const value of ["1", null, 1n, {}]) {
      assertRefused(wrong({ [name]: value }), TypeError, name, "milliseconds as a number");
    }
    for (const value of [0, 0.5, 1e12]) parseFrontend({ [name]: value });
  }
});

test("sizes: a RangeError unless they are whole numbers in range", () => {
  const limits = { maxMessageBytes: [1, 2 ** 30], highWaterMark: [1, 2 ** 31 - 1] } as const;
  for (const [name, [min, max]] of Object.entries(limits)) {
    for (const value of [0, -1, 1.5, NaN, Infinity, max + 1]) {
      assertRefused(wrong({ [name]: value }), RangeError, `${value}`, name, `${min} to ${max}`);
    }
    for (const value of ["8", 8n, null]) {
      assertRefused(wrong({ [name]: value }), TypeError, name, "give a number");
    }
    for (const value of [min, max]) parseFrontend({ [name]: value });
  }
});

const notKeys = ["", "x".repeat(39), "x".repeat(41), "~".repeat(40), `${"x".repeat(39)}\n`];

test("curve: a TypeError unless it has keys in Z85", () => {
  for (const curve of [null, "key", 5]) {
    assertRefused(wrong({ curve }), TypeError, "as curve", "{ secretKey, allow }");
  }
  for (const key of [...notKeys, undefined, 5, null]) {
    assertRefused(wrong({ curve: { secretKey: key } }), TypeError, "curve.secretKey", "Z85", "40");
    const allow = [publicKey, key];
    assertRefused(wrong({ curve: { secretKey, allow } }), TypeError, "a key of curve.allow", "Z85");
  }
  for (const allow of [null, publicKey, new Set([publicKey])]) {
    assertRefused(wrong({ curve: { secretKey, allow } }), TypeError, "curve.allow", "an array");
  }
});

test("a secret key is in no message", () => {
  for (const key of [`${secretKey}x`, secretKey.slice(1), ` ${secretKey}`, { secretKey }]) {
    try {
      wrong({ curve: { secretKey: key } })();
      assert(false, "a wrong key was taken");
    } catch (error) {
      assert(error instanceof TypeError);
      assert(!error.message.includes(secretKey.slice(2, 10)), error.message);
    }
  }
});

const addresses = [
  "tcp://127.0.0.1:6660",
  "tcp://127.0.0.1:0",
  "tcp://*:65535",
  "tcp://*:*",
  "tcp://localhost:1",
  "tcp://my-host.example:80",
  "tcp://eth0:80",
  "tcp://[::1]:80",
  "tcp://[fe80::1%eth0]:80",
  "ipc:///run/door",
  "ipc://relative/door",
  "ipc://@abstract",
  `ipc://${"x".repeat(107)}`,
];

const notAddresses = [
  "",
  "6660",
  "127.0.0.1:6660",
  "tcp://127.0.0.1",
  "tcp://127.0.0.1:",
  "tcp://127.0.0.1:65536",
  "tcp://127.0.0.1:-1",
  "tcp://127.0.0.1:http",
  "tcp://:80",
  "tcp://::1:80",
  "tcp://a b:80",
  "tcp://127.0.0.1:80/path",
  "tcp://127.0.0.1:80\n",
  "TCP://127.0.0.1:80",
  "udp://127.0.0.1:80",
  "inproc://x",
  "http://127.0.0.1:80",
  "ipc://",
  "ipc://a\0b",
  `ipc://${"x".repeat(108)}`,
];

test("addresses: tcp and ipc", () => {
  for (const address of addresses) {
    assertEquals(checkEndpoint(address, "frontend"), address);
    assertEquals(parseFrontend({ frontend: address }).frontend, address);
  }
});

test("other addresses: a TypeError that shows two that are right", () => {
  for (const address of [...notAddresses, null, 6660, {}, ["tcp://*:1"]]) {
    for (const name of ["frontend", "-e"]) {
      const check = () => checkEndpoint(address as string, name);
      assertRefused(check, TypeError, `as ${name}`, "tcp://HOST:PORT", "ipc://PATH");
    }
    assertRefused(wrong({ frontend: address }), TypeError, "as frontend");
  }
});

test("a path of more bytes than the kernel takes: a TypeError, however few characters it has", () => {
  assertRefused(
    () => checkEndpoint(`ipc://${"ü".repeat(60)}`, "frontend"),
    TypeError,
    "ipc://PATH",
  );
});

test("only hosts in brackets need IPv6", () => {
  assertEquals(addresses.filter(needsIpv6), ["tcp://[::1]:80", "tcp://[fe80::1%eth0]:80"]);
});

test("a door with wrong options opens nothing", () => {
  const door = (options: unknown) => () => new ZmqDoor(options as { target: string });
  assertRefused(door(undefined), TypeError, "give an object");
  assertRefused(door({ target: "x", frontend: "tcp://nowhere" }), TypeError, "as frontend");
  for (const target of [undefined, null, {}, true]) {
    assertRefused(door({ target }), TypeError, "as target", "the name or path of a channel");
  }
  for (const target of ["memory:x", "https://example.com/"]) {
    assertThrowsCode(door({ target }), "UNSUPPORTED", target, "on this machine");
  }
});

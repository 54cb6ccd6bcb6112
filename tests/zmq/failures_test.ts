/** Failed calls, as clients of ZeroMQ see them. */
import { assert, assertEquals } from "@std/assert";
import { RemoteError, TandemError } from "../../mod.ts";
import { errorFrames, failureOf } from "../../src/zmq/failures.ts";
import { kinds } from "../support/hostile.ts";
import { test, text } from "../support/harness.ts";

test("an error of the door or of its channel keeps its code and message", () => {
  for (const code of ["TIMEOUT", "SERVER_DIED", "TOO_LARGE", "NO_SPACE", "CLOSED"] as const) {
    assertEquals(failureOf(new TandemError(code, "why")), { code, message: "why" });
  }
});

test("what a handler threw is REMOTE, with its message", () => {
  const error = new RemoteError({ name: "RangeError", message: "too many" });
  assertEquals(failureOf(error).code, "REMOTE");
  assert(failureOf(error).message.includes("too many"));
});

test("a refusal of a service has the service's code and message", () => {
  const error = (code: string, name = "TandemError") =>
    new RemoteError({ name, message: "give a number", properties: { code } });
  assertEquals(failureOf(error("INVALID_ARGUMENTS")), {
    code: "INVALID_ARGUMENTS",
    message: "give a number",
  });
  assertEquals(failureOf(error("UNKNOWN_METHOD")).code, "UNKNOWN_METHOD");
});

test("a user's error cannot pass for another one", () => {
  const error = (name: string, code: unknown) =>
    new RemoteError({ name, message: "m", properties: { code } });
  for (const code of ["ENOENT", "REMOTE", "PERMISSION", "__proto__", "", 5, null, undefined, {}]) {
    assertEquals(failureOf(error("TandemError", code)).code, "REMOTE", String(code));
  }
  assertEquals(failureOf(error("Error", "TIMEOUT")).code, "REMOTE");
});

test("any thrown value becomes a failure", () => {
  for (const value of Object.values(kinds).map((make) => make())) {
    const { code, message } = failureOf(value);
    assertEquals([typeof code, typeof message], ["string", "string"]);
    errorFrames({ code, message });
  }
});

test("the frames of an error: TANDEM-ERROR, code, message", () => {
  const frames = errorFrames({ code: "BUSY", message: "später" });
  assertEquals(frames.map(text), ["TANDEM-ERROR", "BUSY", "später"]);
  assertEquals(errorFrames({ code: "BUSY", message: "" }).map(text)[2], "");
});

test("a long message is cut, and stays UTF-8 throughout", () => {
  const [, , message] = errorFrames({ code: "REMOTE", message: "x".repeat(100_000) });
  assertEquals(message!.byteLength, 4_096);
  // The cut goes through the middle of a character.
  const [, , split] = errorFrames({ code: "REMOTE", message: `x${"😀".repeat(4_000)}` });
  assertEquals(text(split!).slice(0, 3), "x😀");
});

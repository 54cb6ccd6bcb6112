/** The names of locks as names of limits. */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { nameOf, targetOf } from "../../src/limit/lock_names.ts";
import { test } from "../support/harness.ts";

/** What native/platform/target.zig takes. */
const validTarget = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|lock__[A-Za-z0-9._-]{0,194})$/;

const anyName = fc.string({ unit: "binary", maxLength: 300 });

test("a name that a limit can have is its own limit's", () => {
  for (const name of ["nightly", "a.b-c_d", "0", "lock", "lock_", "x".repeat(64)]) {
    assertEquals(targetOf(name), name);
    assertEquals(nameOf(name), name);
  }
});

test("other names are encoded, and read back", () => {
  assertEquals(targetOf("a b"), "lock__a_20_b");
  assertEquals(targetOf(""), "lock__");
  assertEquals(targetOf("/etc/passwd"), "lock___2f_etc_2f_passwd");
  assertEquals(targetOf("lock__a"), "lock__lock_5f__5f_a");
  for (
    const name of [
      "",
      " ",
      "é",
      "\0",
      "\ud800",
      "\udc00\ud800",
      "..",
      ".x",
      "_",
      "lock__",
      "lock__a_20_b",
    ]
  ) {
    assertMatch(targetOf(name), validTarget);
    assertEquals(nameOf(targetOf(name)), name);
  }
});

test("a name that is too long keeps its beginning and gets a hash", () => {
  const [long, longer] = ["x".repeat(1_000), "x".repeat(1_001)];
  assertMatch(targetOf(long), validTarget);
  assertMatch(targetOf(long), /^lock__x+_[0-9a-f]{32}$/);
  assertNotEquals(targetOf(long), targetOf(longer));
  // Nobody can tell the name by it.
  assertEquals(nameOf(targetOf(long)), targetOf(long));
});

test("a target that no lock has is shown as it is", () => {
  for (const target of ["lock__A_0020_b", "lock__a_zz_", "lock__nightly", "lock__a_41_"]) {
    assertEquals(nameOf(target), target);
  }
});

test("every string has a target, and no two have the same", () => {
  fc.assert(fc.property(anyName, anyName, (one, other) => {
    const [target, otherTarget] = [targetOf(one), targetOf(other)];
    assertMatch(target, validTarget);
    assert(nameOf(target) === one || nameOf(target) === target);
    assertEquals(target === otherTarget, one === other);
  }));
});

/** Whose an identity is, where clients have keys. */
import { assert } from "@std/assert";
import { Connection } from "../../src/zmq/connections.ts";
import { Owners } from "../../src/zmq/owners.ts";
import { bytes, test } from "../support/harness.ts";

function connect(identity: string, key?: string): Connection {
  return new Connection(
    bytes(identity),
    { address: "127.0.0.1", key, method: undefined },
    7,
    false,
  );
}

test("an identity belongs to the key that has used it first", () => {
  const owners = new Owners(1_000);
  assert(owners.admits(connect("a", "key 1"), 0));
  assert(!owners.admits(connect("a", "key 2"), 1));
  assert(owners.admits(connect("a", "key 1"), 2), "another connection of the owner");
  assert(owners.admits(connect("b", "key 2"), 3), "another identity");
});

test("an identity stays its owner's while the last connection is open", () => {
  const owners = new Owners(1_000);
  const owner = connect("a", "key 1");
  assert(owners.admits(owner, 0));
  assert(!owners.admits(connect("a", "key 2"), 1_000_000));
  owner.isClosed = true;
  assert(owners.admits(connect("a", "key 2"), 1_000_000));
  assert(!owners.admits(connect("a", "key 1"), 1_000_001), "it has changed hands");
});

test("after its connection has ended, an identity stays its owner's for as long as answers are kept", () => {
  const owners = new Owners(1_000);
  const owner = connect("a", "key 1");
  assert(owners.admits(owner, 0));
  assert(owners.admits(owner, 500));
  owner.isClosed = true;
  assert(!owners.admits(connect("a", "key 2"), 1_499), "from the last request on");
  assert(owners.admits(connect("a", "key 2"), 1_500));
});

test("a refused request does not lengthen what belongs to whom", () => {
  const owners = new Owners(1_000);
  const owner = connect("a", "key 1");
  assert(owners.admits(owner, 0));
  owner.isClosed = true;
  for (const time of [1, 500, 999]) assert(!owners.admits(connect("a", "key 2"), time));
  assert(owners.admits(connect("a", "key 2"), 1_000));
});

test("identities without a key, and those that libzmq makes, belong to nobody", () => {
  const owners = new Owners(1_000);
  assert(owners.admits(connect("a"), 0));
  assert(owners.admits(connect("a"), 0));
  assert(owners.admits(connect("\0a", "key 1"), 0));
  assert(owners.admits(connect("\0a", "key 2"), 0));
});

test("owners are bounded: of one more than 65,536, the one that was not heard for longest goes", () => {
  const owners = new Owners(1_000);
  for (let number = 0; number < 65_536; number++) owners.admits(connect(`${number}`, "key 1"), 0);
  assert(owners.admits(connect("0", "key 1"), 1), "it is heard again");
  assert(!owners.admits(connect("1", "key 2"), 1));
  assert(owners.admits(connect("one more", "key 1"), 2));
  assert(owners.admits(connect("1", "key 2"), 2), "it was the oldest");
  assert(!owners.admits(connect("0", "key 2"), 2));
});

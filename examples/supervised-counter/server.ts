/**
 * A counter that may fail, and comes back. A supervisor starts it again, and what it has counted is kept elsewhere.
 *
 * @module
 */
import { Node, type Port, Supervisor } from "@tandem/ipc/node";

/** What the counter can do. */
export interface Counter {
  add(n: number): void;
  get(): number;
}

/** Keeps a total. It does nothing else, so there is not much that can go wrong in it. */
interface Store {
  put(total: number): void;
  get(): number;
}

await using node = await Node.start({ name: "counters", group: "example-supervised-counter" });

await using supervisor = new Supervisor(node, {
  // The counter relies on the store: if the store ends, both are started again. If the counter ends, only it is.
  strategy: "rest-for-one",
  intensity: { restarts: 3, within: 5_000 },
  children: [{ name: "store", start: startStore }, { name: "counter", start: startCounter }],
});
await supervisor.ready;

// The first message ends the program.
using control = node.port();
node.registry.register("control", control);
await control.receive();
for (const { name, restarts } of supervisor.children()) {
  console.log(`restarts of the ${name}: ${restarts}`);
}

function startStore(): Port<Store> {
  let kept = 0;
  const store = node.port<Store>({ put: (total) => void (kept = total), get: () => kept });
  node.registry.register("store", store);
  return store;
}

/** Runs at each start, so each counter finds the store of its time, and has a new port with the old name. */
async function startCounter(): Promise<Port<Counter>> {
  const store = await node.registry.pick<Store>("store");
  if (store === null) throw new Error("there is no store");
  let total = await node.at(store, { timeout: 5_000 }).get();
  const counter = node.port<Counter>({
    add: (n) => {
      if (!Number.isInteger(n)) throw new RangeError(`${n} is no whole number`);
      total += n;
      node.send(store, "put", total);
    },
    get: () => total,
  });
  node.registry.register("counter", counter);
  return counter;
}

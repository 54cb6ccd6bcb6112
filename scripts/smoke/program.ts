/** A service and its client, whichever way the package was loaded. */
import process from "node:process";

type Tandem = typeof import("@tandem/ipc");

interface Api {
  name(): string;
  echo(bytes: Uint8Array): Uint8Array;
  count(to: number): AsyncIterable<number>;
}

/** The arguments are `serve NAME`, or `call NAME...`. */
export async function main(tandem: Tandem): Promise<void> {
  const [task, ...names] = process.argv.slice(2);
  if (task === "serve") await serve(tandem, names[0]!);
  else for (const name of names) await call(tandem, name);
}

async function serve(tandem: Tandem, name: string): Promise<void> {
  const api: Api = {
    name: () => name,
    echo: (bytes) => bytes,
    async *count(to) {
      for (let number = 1; number <= to; number++) yield await Promise.resolve(number);
    },
  };
  await tandem.serve(`smoke-${name}`, api).finished;
}

async function call(tandem: Tandem, name: string): Promise<void> {
  // Node knows `using` from version 24 on.
  const remote = tandem.connect<Api>(`smoke-${name}`, { timeout: Infinity });
  const long = new Uint8Array(3_000_000).fill(7);
  let sum = 0;
  for await (const number of remote.count(4)) sum += number;
  const seen = { name: await remote.name(), long: await remote.echo(long), sum };
  if (seen.name !== name) throw new Error(`"${seen.name}" answers instead of "${name}"`);
  if (seen.sum !== 10) throw new Error(`the items of ${name} sum up to ${seen.sum}`);
  if (seen.long.length !== long.length || seen.long.some((byte) => byte !== 7)) {
    throw new Error(`${name} does not return what it gets`);
  }
  remote[Symbol.dispose]();
}

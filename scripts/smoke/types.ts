/** What users write: it must compile with the package's declarations, in modules of each kind. */
import { Client, connect, type Remote, serve, Server, TandemError } from "@tandem/ipc";
import { Limit } from "@tandem/ipc/limit";
import type { NatsOptions } from "@tandem/ipc/nats";
import { Pool, type WorkerExit } from "@tandem/ipc/pool";
import { ZmqDoor, type ZmqDoorStats } from "@tandem/ipc/zmq";

const api = {
  add: (a: number, b: number): number => a + b,
  async *count(to: number): AsyncGenerator<number> {
    for (let number = 0; number < to; number++) yield await Promise.resolve(number);
  },
  text: (): ReadableStream<string> => new ReadableStream(),
};

export async function typed(signal: AbortSignal): Promise<number> {
  await using service = serve("smoke", api, { signal });
  using remote: Remote<typeof api> = connect<typeof api>("smoke");
  let sum: number = await remote.add(1, 2);
  for await (const number of remote.count(3)) sum += number;
  for await (const part of remote.text()) sum += part.length;
  await service.close();
  return sum;
}

export function remote(nats: NatsOptions): Remote<typeof api> {
  return connect<typeof api>("nats://127.0.0.1:4222/smoke", { nats: { ...nats, prefix: "smoke" } });
}

export function untyped(): Uint8Array<ArrayBuffer> | null {
  using server = Server.open("smoke-bytes");
  using client = Client.open("smoke-bytes");
  try {
    const answer: Uint8Array<ArrayBuffer> = client.requestSync("text", { timeout: 30_000 });
    return answer;
  } catch (error) {
    if (error instanceof TandemError && error.code === "TIMEOUT") return null;
    throw error;
  } finally {
    server.unlink();
  }
}

export async function pooled(): Promise<WorkerExit | number> {
  await using pool = new Pool<typeof api>("./worker.ts", { max: 4, runtimeArgs: { deno: ["-A"] } });
  try {
    await using session = await pool.checkout();
    return await pool.call.add(1, await session.call.add(2, 3));
  } catch (error) {
    return (error as TandemError).cause as WorkerExit;
  }
}

export async function locked(signal: AbortSignal): Promise<bigint | null> {
  using limit = new Limit("smoke", { max: 2, standby: 1, order: "newest" });
  using lock = await limit.acquire({ mode: "shared", timeout: 1_000, signal });
  return lock === null ? null : lock.token;
}

export async function opened(): Promise<ZmqDoorStats> {
  await using door = new ZmqDoor({ target: "smoke", curve: { secretKey: "", allow: [] } });
  await door.ready;
  return door.stats();
}

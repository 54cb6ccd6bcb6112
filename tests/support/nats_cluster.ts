/**
 * A cluster of three NATS servers for tests, each of which can be killed, stopped and started again.
 *
 * @module
 */
import { createServer } from "node:net";
import { linksClosed } from "../../src/nats/link.ts";
import { keepAlive } from "../../src/runtime/timers.ts";

import { type NatsServer, startNatsServer } from "./nats_server.ts";
import { eventually } from "./processes.ts";

/** What a server of a cluster says of itself (`/jsz`). */
interface JetStreamState {
  readonly meta_cluster?: {
    readonly leader?: string;
    readonly cluster_size?: number;
    readonly replicas?: readonly {
      readonly name: string;
      readonly current: boolean;
      readonly offline?: boolean;
    }[];
  };
}

/** What it says of its streams (`/jsz?streams=true`). */
interface StreamStates {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly cluster?: { readonly leader?: string };
    }[];
  }[];
}

/** One server of a cluster. */
export class ClusterMember {
  readonly name: string;
  readonly port: number;
  readonly #monitorPort: number;
  readonly #start: () => Promise<NatsServer>;
  #server: NatsServer | null = null;
  #state: "running" | "stopped" | "dead" = "dead";

  /** @param start starts it for the first time */
  constructor(name: string, port: number, monitorPort: number, start: () => Promise<NatsServer>) {
    this.name = name;
    this.port = port;
    this.#monitorPort = monitorPort;
    this.#start = start;
  }

  /** Starts it for the first time. */
  async start(): Promise<void> {
    this.#server = await this.#start();
    this.#state = "running";
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Kills it; resolves when it is dead. Its files stay. */
  async kill(): Promise<void> {
    this.#state = "dead";
    this.#tell("KILL");
    await eventually(() => isFree(this.port), `the server ${this.name} is dead`);
  }

  /** It stands still (SIGSTOP): its connections stay open. */
  stop(): void {
    this.#state = "stopped";
    this.#tell("STOP");
  }

  /** It goes on after {@linkcode stop}. */
  resume(): void {
    this.#state = "running";
    this.#tell("CONT");
  }

  /** Starts it again after {@linkcode kill}, with its files. */
  restart(): void {
    this.#state = "running";
    this.#tell("START");
  }

  #tell(signal: Parameters<NatsServer["tell"]>[0]): void {
    if (!this.#server) throw new Error(`The server ${this.name} was never started`);
    this.#server.tell(signal);
  }

  /** Ends it for good. */
  async end(): Promise<void> {
    this.#state = "dead";
    await this.#server?.kill();
  }

  /** The names of the servers that it has a route to; null: it does not answer yet. */
  async routes(): Promise<ReadonlySet<string> | null> {
    const state = await this.#ask<{ routes?: { remote_name: string }[] }>("routez");
    return state && new Set((state.routes ?? []).map(({ remote_name }) => remote_name));
  }

  async jetStream(): Promise<JetStreamState | null> {
    return await this.#ask<JetStreamState>("jsz");
  }

  /** The name of the server that leads a stream, as far as this one knows. */
  async leaderOf(stream: string): Promise<string | undefined> {
    const state = await this.#ask<StreamStates>("jsz?streams=true");
    const streams = state?.account_details?.flatMap(({ stream_detail }) => stream_detail ?? []);
    return streams?.find(({ name }) => name === stream)?.cluster?.leader;
  }

  async #ask<T>(what: string): Promise<T | null> {
    try {
      const signal = AbortSignal.timeout(1_000);
      const response = await fetch(`http://127.0.0.1:${this.#monitorPort}/${what}`, { signal });
      return await response.json() as T;
    } catch {
      return null;
    }
  }
}

const names = ["one", "two", "three"] as const;

export class NatsCluster implements AsyncDisposable {
  readonly members: readonly ClusterMember[];

  private constructor(members: readonly ClusterMember[]) {
    this.members = members;
  }

  /**
   * Starts the servers; resolves when they know each other and JetStream has a leader.
   *
   * @param config lines that the configuration of each has, too
   * @param count how many are started; the others have not been there yet
   */
  static async start(config = "", count: number = names.length): Promise<NatsCluster> {
    const ports = await freePorts(3 * names.length);
    const routesOf = (own: number) =>
      names.flatMap((_, index) => index === own ? [] : [`nats://127.0.0.1:${ports[3 * index]}`]);
    const members = names.map((name, index) => {
      const [routePort, monitorPort, port] = ports.slice(3 * index);
      const own = `
        server_name: ${name}
        http: 127.0.0.1:${monitorPort}
        jetstream { store_dir: $TANDEM_NATS_FOLDER }
        cluster {
          name: tandem
          listen: 127.0.0.1:${routePort}
          routes: [${routesOf(index).join(", ")}]
        }
        ${config}
      `;
      return new ClusterMember(name, port!, monitorPort!, () => startNatsServer(own, port));
    });
    const cluster = new NatsCluster(members);
    try {
      await Promise.all(members.slice(0, count).map((member) => member.start()));
      await cluster.formed();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** All servers, as targets name them. */
  get addresses(): string {
    return this.members.map(({ address }) => address).join(",");
  }

  /** A target that names all servers; the first one is tried first. */
  target(name: string): string {
    return `nats://${this.addresses}/${name}`;
  }

  /** A target that names one server. Whoever is connected to it learns of the others. */
  targetOf(index: number, name: string): string {
    return `nats://${this.members[index]!.address}/${name}`;
  }

  /** Resolves when those that run have routes to each other. JetStream may need longer. */
  async joined(): Promise<void> {
    const running = this.members.filter(({ isRunning }) => isRunning);
    await eventually(async () => {
      const all = await Promise.all(running.map((member) => member.routes()));
      return all.every((routes, index) =>
        running.every(({ name }, other) => other === index || routes?.has(name))
      );
    }, "the servers have routes to each other");
  }

  /** Resolves when those that run have routes to each other, and a common leader of JetStream that sees them all. */
  async formed(): Promise<void> {
    const running = this.members.filter(({ isRunning }) => isRunning);
    await eventually(() => this.#isFormed(running), "the servers form a cluster");
  }

  async #isFormed(running: readonly ClusterMember[]): Promise<boolean> {
    const states = await Promise.all(
      running.map(async (member) => {
        const [routes, jetStream] = await Promise.all([member.routes(), member.jetStream()]);
        return { name: member.name, routes, meta: jetStream?.meta_cluster };
      }),
    );
    const leader = states[0]?.meta?.leader;
    if (!running.some(({ name }) => name === leader)) return false;
    if (states.some(({ meta }) => meta?.leader !== leader)) return false;
    return states.every(({ name, routes, meta }) =>
      states.every(({ name: other }) => {
        if (other === name) return true;
        if (!routes?.has(other)) return false;
        return name !== leader ||
          meta?.replicas?.some((one) => one.name === other && one.current && !one.offline);
      })
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Servers do not keep this process alive.
    const letEnd = keepAlive();
    await Promise.all(this.members.map((member) => member.end()));
    letEnd();
  }
}

/** The server that leads a stream. */
export async function leaderOf(cluster: NatsCluster, stream: string): Promise<ClusterMember> {
  let leader: ClusterMember | undefined;
  await eventually(async () => {
    for (const member of cluster.members.filter(({ isRunning }) => isRunning)) {
      const name = await member.leaderOf(stream);
      leader = cluster.members.find((one) => one.name === name && one.isRunning);
      if (leader) return true;
    }
    return false;
  }, `the stream ${stream} has a leader`);
  return leader!;
}

/** A cluster that ends with the test, after the links to it. */
export async function newCluster(config = "", count?: number): Promise<NatsCluster> {
  // Only in tests: the proof has no harness.
  const { afterEnd } = await import("./harness.ts");
  const cluster = await NatsCluster.start(config, count);
  afterEnd(linksClosed);
  afterEnd(() => cluster[Symbol.asyncDispose]());
  return cluster;
}

/**
 * Ports that are free, and that the kernel gives to no connection meanwhile: a server that is started again needs the
 * same one.
 */
async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (!ports.includes(port) && await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/**
 * Hosts with links between them: namespaces of the network, which end with the test, whatever ends that. One of them
 * has a NATS server, and each of the others has a link to it.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/tools.ts";
import { type Child, folder, startProgram } from "./harness.ts";
import { hasNatsServer } from "./nats_server.ts";
import { works } from "./privileges.ts";

/** Why there can be no such hosts here; null: there can. */
export const noHosts: string | null = !hasNatsServer()
  ? "scripts/setup --tests installs a NATS server"
  : works(["unshare", "-n", "ip", "link", "set", "lo", "up"])
  ? null
  : "this system allows no namespaces of the network, or has no ip";

const port = 4222;
/** Nobody has this address, so what is sent to it vanishes, and the sender does not notice. */
const nowhere = "02:00:00:00:00:01";

/** What of a link is cut. Nobody is told. */
export type Cut =
  /** All, as if its cable were pulled at the server: the interfaces of both hosts are down. */
  | "cable"
  /** Packets in both directions vanish. */
  | "both"
  | "to the server"
  | "from the server";

/** A connection, as a host's kernel sees it. */
interface Connection {
  readonly localPort: number;
  readonly remotePort: number;
  readonly isEstablished: boolean;
  /** A process has a descriptor of it. */
  readonly isOpen: boolean;
}

export class Host {
  readonly pid: number;
  /** The server, as this host reaches it. */
  readonly network: string;

  protected constructor({ pid }: Child, network: string) {
    this.pid = pid;
    this.network = network;
  }

  static async near(): Promise<Host> {
    const host = new Host(await holdNamespace(), `nats://127.0.0.1:${port}`);
    host.run("link", "set", "lo", "up");
    return host;
  }

  /** `through` of a program that runs on this host. */
  get through(): readonly string[] {
    return ["/usr/bin/env", "nsenter", "--target", `${this.pid}`, "--net"];
  }

  run(...args: readonly string[]): void {
    const [command, ...rest] = [...this.through, "ip", ...args];
    const { status, stderr } = spawnSync(command!, rest, { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  }

  /** How many connections to the server its programs have, in whatever state. */
  get openConnections(): number {
    return this.#connections.filter(({ remotePort, isOpen }) => remotePort === port && isOpen)
      .length;
  }

  /** How many clients the server has, if it is on this host. */
  get clients(): number {
    return this.#connections.filter(({ localPort, isEstablished }) =>
      localPort === port && isEstablished
    ).length;
  }

  get #connections(): Connection[] {
    // A server may take both kinds of addresses at one socket.
    const lines = ["tcp", "tcp6"].flatMap((name) =>
      readFileSync(`/proc/${this.pid}/net/${name}`, "utf8").trimEnd().split("\n").slice(1)
    );
    return lines.map((line) => {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
      const portOf = (address = "") => parseInt(address.slice(address.indexOf(":") + 1), 16);
      return {
        localPort: portOf(local),
        remotePort: portOf(remote),
        isEstablished: state === "01",
        isOpen: inode !== "0",
      };
    });
  }
}

/** A host that reaches the server through a link. */
export class FarHost extends Host {
  readonly #near: Host;
  readonly #number: number;

  private constructor(holder: Child, near: Host, number: number) {
    super(holder, `nats://10.9.${number}.1:${port}`);
    this.#near = near;
    this.#number = number;
  }

  static async linked(near: Host, number: number): Promise<FarHost> {
    const host = new FarHost(await holdNamespace(), near, number);
    const end = host.#nearEnd;
    near.run("link", "add", end, "type", "veth", "peer", "name", "near", "netns", `${host.pid}`);
    near.run("address", "add", `10.9.${number}.1/24`, "dev", end);
    host.run("address", "add", `10.9.${number}.2/24`, "dev", "near");
    near.run("link", "set", end, "up");
    host.run("link", "set", "near", "up");
    return host;
  }

  /** The interface at the server's host. */
  get #nearEnd(): string {
    return `far${this.#number}`;
  }

  /** From now on nothing comes through. */
  cut(cut: Cut = "cable"): void {
    if (cut === "cable") return this.#near.run("link", "set", this.#nearEnd, "down");
    if (cut !== "from the server") {
      this.run(...neighbour("replace", `10.9.${this.#number}.1`, "near"), ...wrong);
    }
    if (cut !== "to the server") {
      this.#near.run(...neighbour("replace", `10.9.${this.#number}.2`, this.#nearEnd), ...wrong);
    }
  }

  /** @param cut as it was cut */
  restore(cut: Cut = "cable"): void {
    if (cut === "cable") return this.#near.run("link", "set", this.#nearEnd, "up");
    if (cut !== "from the server") this.run(...neighbour("del", `10.9.${this.#number}.1`, "near"));
    if (cut !== "to the server") {
      this.#near.run(...neighbour("del", `10.9.${this.#number}.2`, this.#nearEnd));
    }
  }
}

const wrong = ["lladdr", nowhere, "nud", "permanent"] as const;

function neighbour(action: "replace" | "del", address: string, device: string): string[] {
  return ["neigh", action, address, "dev", device];
}

async function holdNamespace(): Promise<Child> {
  // It ends when the other end of its stdin closes, even if this process dies.
  const command = ["/usr/bin/env", "unshare", "-n", "sh", "-c", "echo ready; exec cat"];
  const holder = startProgram("a namespace of the network", command);
  await holder.expect("ready");
  return holder;
}

export class NetHosts {
  /** Has the server. */
  readonly near: Host;
  readonly far: readonly FarHost[];

  private constructor(near: Host, far: readonly FarHost[]) {
    this.near = near;
    this.far = far;
  }

  /** @param config lines of the server's configuration; `FOLDER` is one for what it stores */
  static async open(farHosts = 1, config = ""): Promise<NetHosts> {
    const near = await Host.near();
    const numbers = Array.from({ length: farHosts }, (_, index) => index);
    const far = await Promise.all(numbers.map((number) => FarHost.linked(near, number)));
    const place = mkdtempSync(join(folder(), "nats-"));
    const file = join(place, "server.conf");
    writeFileSync(file, config.replaceAll("FOLDER", place));
    const server = join(checkout, ".tools/nats/bin/nats-server");
    const args = ["-c", file, "-a", "0.0.0.0", "-p", `${port}`];
    startProgram("a NATS server", [...near.through, server, ...args]);
    return new NetHosts(near, far);
  }
}

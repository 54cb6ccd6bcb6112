/**
 * Two hosts with a link between them: namespaces of the network, which end with the test, whatever ends that. On one of
 * them is a NATS server.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { checkout } from "../../scripts/tools.ts";
import { type Child, startProgram } from "./harness.ts";
import { hasNatsServer } from "./nats_server.ts";
import { works } from "./privileges.ts";

/** Why there can be no such hosts here; null: there can. */
export const noHosts: string | null = !hasNatsServer()
  ? "scripts/setup --tests installs a NATS server"
  : works(["unshare", "-n", "ip", "link", "set", "lo", "up"])
  ? null
  : "this system allows no namespaces of the network, or has no ip";

const port = 4222;

class Host {
  readonly pid: number;

  private constructor({ pid }: Child) {
    this.pid = pid;
  }

  static async open(): Promise<Host> {
    // It ends when the other end of its stdin closes, even if this process dies.
    const command = ["/usr/bin/env", "unshare", "-n", "sh", "-c", "echo ready; exec cat"];
    const holder = startProgram("a namespace of the network", command);
    await holder.expect("ready");
    return new Host(holder);
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
}

export class NetHosts {
  /** Has the server. */
  readonly near: Host;
  readonly far: Host;

  private constructor(near: Host, far: Host) {
    this.near = near;
    this.far = far;
  }

  static async open(): Promise<NetHosts> {
    const [near, far] = [await Host.open(), await Host.open()];
    near.run("link", "set", "lo", "up");
    near.run("link", "add", "far", "type", "veth", "peer", "name", "near", "netns", `${far.pid}`);
    near.run("address", "add", "10.9.0.1/24", "dev", "far");
    far.run("address", "add", "10.9.0.2/24", "dev", "near");
    near.run("link", "set", "far", "up");
    far.run("link", "set", "near", "up");
    const server = join(checkout, ".tools/nats/bin/nats-server");
    startProgram("a NATS server", [...near.through, server, "-a", "0.0.0.0", "-p", `${port}`]);
    return new NetHosts(near, far);
  }

  /** The server, as the near host and the far one reach it. */
  readonly networks: readonly [string, string] = [
    `nats://127.0.0.1:${port}`,
    `nats://10.9.0.1:${port}`,
  ];

  /** From now on nothing comes through, and nobody is told. */
  cut(): void {
    this.near.run("link", "set", "far", "down");
  }

  restore(): void {
    this.near.run("link", "set", "far", "up");
  }
}

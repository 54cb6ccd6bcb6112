/**
 * NATS servers for tests: real ones, on ports of the loopback interface that the system chooses.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../.tools/nats/bin/nats-server", import.meta.url));

/** Whether `scripts/setup --tests` has installed the server. */
export function hasNatsServer(): boolean {
  try {
    return existsSync(program);
  } catch {
    // Deno may not read files here.
    return false;
  }
}

/** Configuration of a server with JetStream. Its files are in the folder that ends with it. */
export const withJetStream = "jetstream { store_dir: $TANDEM_NATS_FOLDER }";

/**
 * Sends the server the signals of which it reads the names, and starts it again at `START`. Ends it, and removes its
 * folder, when this process ends, also if its whole group gets a signal.
 */
const guard = `
  trap "" TERM INT HUP
  start() { "$0" "$@" & }
  start "$@"
  while read -r signal; do
    case $signal in
      START) wait $!; start "$@" ;;
      *) kill -$signal $! ;;
    esac
  done
  kill -9 $!
  wait
  rm -rf "$TANDEM_NATS_FOLDER"
`;

/** A server that runs. */
export class NatsServer {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(port: number, child: ChildProcess, ended: Promise<void>) {
    this.port = port;
    this.#child = child;
    this.#ended = ended;
  }

  /** `127.0.0.1:4222`, with the server's port. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Sends it a signal (`STOP`), or starts it again (`START`). */
  tell(signal: "KILL" | "STOP" | "CONT" | "START"): void {
    this.#child.stdin!.write(`${signal}\n`);
  }

  /** Kills it for good. */
  async kill(): Promise<void> {
    // While it was unneeded, it kept no process alive.
    this.#child.ref();
    this.#child.stdin!.end();
    await this.#ended;
  }
}

/**
 * Starts a server.
 *
 * @param config lines of its configuration
 * @param port default: one that is free
 */
export async function startNatsServer(config = "", port = -1): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), "tandem-nats-"));
  const file = join(folder, "server.conf");
  writeFileSync(file, config);
  const ports = mkdtempSync(join(folder, "ports-"));
  const args = ["-a", "127.0.0.1", "-p", String(port), "-c", file, "--ports_file_dir", ports];
  const child = spawn("sh", ["-c", guard, program, ...args], {
    stdio: ["pipe", "ignore", "ignore"],
    env: { ...process.env, TANDEM_NATS_FOLDER: folder },
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.unref();
  (child.stdin as unknown as { unref?(): void }).unref?.();
  for (let tries = 0; tries < 1_000; tries++) {
    const [name] = readdirSync(ports);
    const text = name ? readFileSync(join(ports, name), "utf8") : "";
    // The server creates the file before it writes the text.
    if (text.endsWith("}")) {
      const [address] = (JSON.parse(text) as { nats: [string] }).nats;
      return new NatsServer(Number(address.split(":").at(-1)), child, ended);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.stdin!.end();
  rmSync(folder, { recursive: true, force: true });
  throw new Error("nats-server did not start within 10 s");
}

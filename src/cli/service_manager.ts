/**
 * What a service manager is told of a service that it has started (`sd_notify`).
 *
 * @module
 */
import process from "node:process";
import { laterForSure } from "../runtime/timers.ts";
import { bindC } from "../runtime/c_library.ts";

interface CFunctions {
  socket(domain: number, type: number, protocol: number): number;
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: bigint,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): bigint;
  close(fd: number): number;
  clock_gettime(clock: number, out: BigInt64Array): number;
}

const unixFamily = 1; // AF_UNIX
const datagram = 2; // SOCK_DGRAM
const closeOnExec = 0o2000000; // SOCK_CLOEXEC
const noSignal = 0x4000; // MSG_NOSIGNAL
const monotonic = 1; // CLOCK_MONOTONIC
/** The longest path of a socket, with its last NUL. */
const pathBytesMax = 108;

/** A line of a message, such as `READY` with `1`. */
export type News = Readonly<Record<string, string | number>>;

/** The service manager that has started this process, if one listens. */
export class ServiceManager implements Disposable {
  readonly #c: CFunctions | null = null;
  readonly #address: Uint8Array = new Uint8Array();
  readonly #fd: number = -1;
  #cancelBeat: (() => void) | undefined;

  /** Takes its address out of the environment, so that no child reports in the name of this process. */
  constructor(environment: Record<string, string | undefined>) {
    const { NOTIFY_SOCKET: path, WATCHDOG_USEC: period, WATCHDOG_PID: watched } = environment;
    delete environment["NOTIFY_SOCKET"];
    delete environment["WATCHDOG_USEC"];
    delete environment["WATCHDOG_PID"];
    if (!path) return;
    this.#address = addressOf(path);
    this.#c = bindC<CFunctions>({
      socket: { parameters: ["i32", "i32", "i32"], result: "i32", cold: true },
      sendto: {
        parameters: ["i32", "buffer", "size", "i32", "buffer", "u32"],
        result: "size",
        cold: true,
      },
      close: { parameters: ["i32"], result: "i32", cold: true },
      clock_gettime: { parameters: ["i32", "buffer"], result: "i32", cold: true },
    });
    this.#fd = this.#c.socket(unixFamily, datagram | closeOnExec, 0);
    const microseconds = Number(period ?? 0);
    if (microseconds > 0 && (watched === undefined || Number(watched) === process.pid)) {
      // Half the period, as its documentation advises.
      this.#beat(microseconds / 2_000);
    }
  }

  /** Tells again and again that the supervisor lives. */
  #beat(period: number): void {
    this.#cancelBeat = laterForSure(period, () => {
      this.tell({ WATCHDOG: 1 });
      this.#beat(period);
    });
  }

  /** Sends a message. Nobody may listen. */
  tell(news: News): void {
    if (!this.#c) return;
    const lines = Object.entries(news).map(([name, value]) => `${name}=${value}`);
    const bytes = new TextEncoder().encode(lines.join("\n"));
    const { length } = this.#address;
    this.#c.sendto(this.#fd, bytes, BigInt(bytes.length), noSignal, this.#address, length);
  }

  /** The service loads its configuration again; `READY` ends this. */
  tellReloading(): void {
    if (!this.#c) return;
    const time = new BigInt64Array(2);
    this.#c.clock_gettime(monotonic, time);
    const microseconds = time[0]! * 1_000_000n + time[1]! / 1_000n;
    this.tell({ RELOADING: 1, MONOTONIC_USEC: String(microseconds) });
  }

  [Symbol.dispose](): void {
    this.#cancelBeat?.();
    this.#c?.close(this.#fd);
  }
}

/** A `struct sockaddr_un`. A path that begins with @ is an abstract one. */
function addressOf(path: string): Uint8Array {
  const isAbstract = path.startsWith("@");
  const name = new TextEncoder().encode(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
  if ((!isAbstract && !path.startsWith("/")) || name.length > pathBytesMax) {
    throw new RangeError(
      `Cannot use NOTIFY_SOCKET ${
        JSON.stringify(path)
      }: it is neither a short absolute path nor @ with ` +
        "a name; unset it",
    );
  }
  return Uint8Array.of(unixFamily, 0, ...name);
}

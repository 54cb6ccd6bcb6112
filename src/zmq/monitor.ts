/**
 * What happens to the connections of a socket.
 *
 * @module
 */
import { MonitorEvent } from "./libzmq.ts";
import { ZmqSocket } from "./socket.ts";

const endpoint = "inproc://tandem-door-monitor";
const events = MonitorEvent.accepted | MonitorEvent.disconnected |
  MonitorEvent.handshakeFailedWithoutDetail |
  MonitorEvent.handshakeFailedProtocol | MonitorEvent.handshakeFailedAuthentication;

/** Hears of connections. */
export interface ConnectionNews {
  accepted(fd: number): void;
  disconnected(fd: number): void;
  /** Then the connection is reported as disconnected. */
  handshakeFailed(): void;
}

export class Monitor {
  readonly socket: ZmqSocket;
  /** Event u16, value u32; then the address in a frame of its own. */
  readonly #frame: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  readonly #view: DataView = new DataView(this.#frame.buffer);
  readonly #capacity: bigint = BigInt(this.#frame.byteLength);

  constructor(context: bigint, watched: ZmqSocket) {
    watched.monitor(endpoint, events);
    this.socket = new ZmqSocket(context, "pair");
    this.socket.connect(endpoint);
  }

  close(): void {
    this.socket.close();
  }

  /** Tells everything that has happened until now. */
  read(news: ConnectionNews): void {
    while (this.socket.receive(this.#frame, this.#capacity) >= 0) {
      const event = this.#view.getUint16(0, true);
      const value = this.#view.getUint32(2, true);
      while (this.socket.hasMore) this.socket.receive(this.#frame, this.#capacity);
      this.#tell(news, event, value);
    }
  }

  #tell(news: ConnectionNews, event: number, value: number): void {
    if (event === MonitorEvent.accepted) news.accepted(value);
    else if (event === MonitorEvent.disconnected) news.disconnected(value);
    else news.handshakeFailed();
  }
}

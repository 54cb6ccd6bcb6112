/**
 * The payload of a message.
 *
 * @module
 */

/**
 * The content of a request or an answer: bytes in any form, which are copied, or a string, which is sent
 * as UTF-8 and marked as text.
 *
 * @example
 * ```ts
 * import { Client, type Payload, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 * const payloads: Payload[] = ["ä", new Float64Array(2), new ArrayBuffer(3)];
 * for (const payload of payloads) client.post(payload);
 * const requests = server.tryReceiveMany();
 * assertEquals(requests.map(({ bytes }) => bytes.byteLength), [2, 16, 3]);
 * assertEquals(requests.map(({ isText }) => isText), [true, false, false]);
 * ```
 */
export type Payload = ArrayBufferView | ArrayBufferLike | string;

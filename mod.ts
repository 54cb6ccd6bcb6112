/**
 * Calls between TypeScript processes through shared memory, in Deno, in Bun and in Node.
 *
 * A {@linkcode Server} opens a channel and answers; a {@linkcode Client} sends requests. They may run in
 * any mix of runtimes on one Linux machine. With {@linkcode serve} and {@linkcode connect}, processes call
 * each other's methods.
 *
 * Every call that can wait has three forms: `name()` returns a promise and leaves the event loop
 * free, `nameSync()` blocks the thread, `tryName()` never waits. Times are milliseconds, sizes are
 * bytes. A failure is a {@linkcode TandemError} with a code; wrong arguments are `TypeError` and
 * `RangeError`.
 *
 * @example A server and a client, here in one process
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * // One process, or several of them:
 * await using server = Server.open("thumbs");
 * const serving = server.serve((request) => request.text().toUpperCase());
 *
 * // Any other process, in any runtime:
 * using client = await Client.connect("thumbs", { timeout: 5_000 });
 * const answer = await client.request("hello", { timeout: 1_000 });
 * assertEquals(new TextDecoder().decode(answer), "HELLO");
 *
 * // The channel stays until it is removed.
 * server.unlink();
 * server.close();
 * await serving;
 * ```
 *
 * @module
 */
export { Call } from "./src/channel/call.ts";
export { Client } from "./src/channel/client.ts";
export { Draft } from "./src/channel/draft.ts";
export { ChannelHandle } from "./src/channel/handle.ts";
export { IntCall } from "./src/int/call.ts";
export { IntClient } from "./src/int/client.ts";
export { IntServerRequest } from "./src/int/request.ts";
export { type IntResult, IntServer } from "./src/int/server.ts";
export type { IntValue } from "./src/int/value.ts";
export type {
  ChannelOptions,
  GetOptions,
  GetSyncOptions,
  IntChannelOptions,
  IntoOption,
  RequestOptions,
  RequestSyncOptions,
  SendOptions,
  SendSyncOptions,
  ServeOptions,
  ServeSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "./src/base/channel_options.ts";
export type { NatsOptions } from "./src/base/nats_options.ts";
export type { Payload } from "./src/channel/payload.ts";
export { ServerRequest } from "./src/channel/request.ts";
export type { Result } from "./src/channel/result.ts";
export { Server } from "./src/channel/server.ts";
export type { Participant, Peer } from "./src/base/peer.ts";
export { type Everywhere, everywhere, type EverywhereMethod } from "./src/rpc/everywhere.ts";
export { instance } from "./src/rpc/instance.ts";
export { type ServiceInfo, services, type ServicesOptions } from "./src/rpc/services.ts";
export type { Stats } from "./src/base/stats.ts";
export type { ErrorClass, RegisteredErrors } from "./src/codec/error_classes.ts";
export type { Around, AroundCall, ClientCall, Next, ServiceCall } from "./src/rpc/around.ts";
export { type CallContext, callContext } from "./src/rpc/context.ts";
export type { CallRecord } from "./src/rpc/hooks.ts";
export type { Metadata } from "./src/rpc/metadata.ts";
export type {
  CallOptions,
  CloseOptions,
  ConnectOptions,
  EndOptions,
  RetryOptions,
  ServiceOptions,
} from "./src/rpc/options.ts";
export { proxy, type ProxyOptions } from "./src/rpc/proxy.ts";
export { raw } from "./src/rpc/raw.ts";
export { connect, withOptions } from "./src/rpc/remote.ts";
export type { Subscription } from "./src/rpc/subscription.ts";
export { type SubscribeOptions, type Topic, topic, type TopicOptions } from "./src/rpc/topic.ts";
export type { Overflow } from "./src/transport/transport.ts";
export { serve, Service } from "./src/rpc/service.ts";
export {
  type MayBeMissing,
  type SchemaInput,
  type SchemaOutput,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
  validated,
  type ValidatedParameters,
} from "./src/rpc/validated.ts";
export type {
  AnyRemote,
  Proxied,
  Remote,
  RemoteMethod,
  RemoteMethods,
  RemoteReadable,
  RemoteReadableCall,
  RemoteResult,
  RemoteStream,
} from "./src/rpc/types.ts";
export type {
  AnyFunction,
  At,
  Is,
  IsNoStream,
  IsPromise,
  IsRemote,
  MethodNames,
  Refused,
  RefusedArguments,
  RefusedProperties,
  SentArguments,
  Unsendable,
} from "./src/rpc/sendable.ts";
export type { ConnectTarget, ServeTarget } from "./src/transport/targets.ts";
export {
  type ErrorCode,
  type Reason,
  type ReasonKind,
  RemoteError,
  type RemoteErrorDetails,
  TandemError,
} from "./src/errors.ts";

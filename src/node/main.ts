/**
 * Nodes: ports, messages, monitors, links and a registry, shared by all processes of a machine, and with a
 * network by those of several.
 *
 * @module
 */
export { type MonitorTarget, Node, type NodeEvent, type Queued } from "./node.ts";
export { Port } from "./ports/port.ts";
export type { PortId } from "./ids.ts";
export type { ErrorClass, RegisteredErrors } from "../codec/error_classes.ts";
export type { NatsOptions } from "../base/nats_options.ts";
export type { NodeDescription, NodeRequests } from "./node_requests.ts";
export type { NodeOptions, PortCallOptions, PortOptions, TraceRecord } from "./options.ts";
export { Claim } from "./registry/claim.ts";
export { Registry } from "./registry/registry.ts";
export type { RegistryChange, RegistryEntry, RegistryWatch } from "./registry/types.ts";
export type { ReceiveOptions } from "./ports/receiver.ts";
export type { KillReason } from "./reason.ts";
export type { HandlerOf, IsUnknown, MessageOf, PortRemote, ReceivedOf, TagOf } from "./types.ts";
export {
  type ErrorCode,
  type Reason,
  type ReasonKind,
  RemoteError,
  TandemError,
} from "../errors.ts";
export type {
  Proxied,
  RemoteMethod,
  RemoteMethods,
  RemoteReadable,
  RemoteReadableCall,
  RemoteResult,
  RemoteStream,
} from "../rpc/types.ts";
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
} from "../rpc/sendable.ts";
export type { RemoteErrorDetails } from "../errors.ts";
export { type ChildInfo, Supervisor } from "./supervisor/supervisor.ts";
export type {
  Child,
  ChildHandle,
  ChildOptions,
  RestartKind,
  Strategy,
  SupervisorOptions,
} from "./supervisor/options.ts";

// Made by `zig build bindings` from native/abi.zig and native/memory/layout.zig. Do not edit.

/** Compared with the library's own when it is loaded. */
export const abiVersion = 14;
/** Of the shared memory. */
export const layoutVersion = 7;
export const slotsMax = 65536;
export const payloadBytesMax = 1073741824;
export const noteBytesMax = 1026;
export const deliveriesMax = 31;
export const participantsMax = 1024;
export const errorBytesMin = 1024;
export const pathBytesMax = 4096;
export const slotBytes = 256;
export const requestInlineOffset = 32;
export const requestInlineBytes = 96;
export const responseInlineOffset = 136;
export const responseInlineBytes = 120;
export const controlBytes = 240;
export const attachedMax = 8;
export const optionsCount = 9;
export const recordFields = 3;
export const entryFields = 8;
export const limitFields = 11;
export const batchCallBytes = 24;
export const batchCallsMax = 256;
export const zmqBatchBytes = 9808;
export const zmqBatchMax = 64;
export const zmqIsPlaced = 2147483648;
export const zmqRecordBytes = 24;
export const limitPlacesMax = 1024;
export const openRoleServer = 1;
export const openKindInt = 2;
export const openOrCreate = 4;
export const openCreateNew = 8;
export const openAnonymous = 16;
export const openFromFd = 32;
export const openPrivate = 64;
export const sendText = 1;
export const openQuiet = 256;
export const boardBytesMax = 16777216;
export const sendOneWay = 2;
export const sendBlock = 4;
export const sendWatched = 8;
export const sendDeliveriesShift = 8;
export const requestText = 1;
export const requestOneWay = 2;
export const receiveFirst = -1;
export const receiveNext = -2;
export const receiveStoodBack = 2;
export const cancelKeepAnswer = 0;
export const cancelRelease = 1;
export const cancelTimedOut = 2;
export const cancelDraft = 3;
export const armRequests = 1;
export const armRoom = 2;
export const armed = 0;
export const armWork = 1;
export const armNewcomer = 2;
export const armedLarge = 3;
export const armedUnsure = 4;
export const lingerNothing = 0;
export const lingerWork = 1;
export const lingerCrowded = 2;
export const bellFifo = 1;
export const bellDatagram = 2;
export const watchComplete = -1;
export const watchIncomplete = -2;
export const guardNone = 4294967295;
export const execAlone = 1;
export const watchDrop = -3;
export const openKindLimit = 128;
export const limitShared = 1;
export const limitSteal = 2;
export const limitTry = 4;
export const limitNoStandby = 4294967295;
export const limitOldest = 1;
export const limitNewest = 2;
export const limitWaits = 0;
export const limitRefusedFull = -1000;
export const limitNotNow = -1002;
export const limitRefusedReplaced = -1001;
export const limitLost = -1003;
export const limitIdle = -1004;
export const sendForwarded = 16;
export const requestForwarded = 4;
export const sendAllNudge = 65536;

/** Results below zero are the negative of one of these. */
export const Status = {
  timeout: 1,
  busy: 2,
  tooLarge: 3,
  serverDied: 4,
  cancelled: 5,
  notFound: 6,
  exists: 7,
  mismatch: 8,
  incompatible: 9,
  corrupt: 10,
  permission: 11,
  noSpace: 12,
  unsupported: 13,
  invalidTarget: 14,
  system: 15,
  remote: 16,
  longer: 17,
  notYet: 18,
} as const;

/** What an error is about. */
export const Detail = {
  none: 0,
  openFile: 1,
  makeDirectory: 2,
  directoryOwner: 3,
  directoryMode: 4,
  notADirectory: 5,
  notAFile: 6,
  fileOwner: 7,
  fileEmpty: 8,
  fileShort: 9,
  notAChannel: 10,
  badGeometry: 11,
  layoutVersion: 12,
  kind: 13,
  slots: 14,
  maxRequestBytes: 15,
  maxResponseBytes: 16,
  maxDeliveries: 17,
  nameInvalid: 18,
  pathTooLong: 19,
  allocate: 20,
  mapMemory: 21,
  handles: 22,
  lock: 23,
  memfd: 24,
  unlink: 25,
  geometryTooLarge: 26,
  kernel: 27,
  environment: 28,
  bellsOwner: 29,
  bellsMode: 30,
  bellsKind: 31,
  noBells: 32,
  lockedOut: 33,
  copyOnWrite: 34,
  limitMax: 35,
  limitOrder: 36,
  tickets: 37,
} as const;

/** What an answered slot holds. */
export const AnswerKind = {
  bytes: 0,
  text: 1,
  remoteError: 2,
  serverDied: 3,
  timedOut: 4,
} as const;

/** What became of a request that a server holds. */
export const Held = {
  held: 0,
  posted: 1,
  abandoned: 2,
  lost: 3,
} as const;

/** What runs a participant. */
export const Runtime = {
  unknown: 0,
  deno: 1,
  bun: 2,
  node: 3,
} as const;

/** Places in what `tandem_stats` writes. */
export const StatField = {
  slots: 0,
  inFlight: 1,
  queued: 2,
  clients: 3,
  servers: 4,
  requests: 5,
  replies: 6,
  failures: 7,
  cancelled: 8,
  timeouts: 9,
  redelivered: 10,
  serverDeaths: 11,
  clientDeaths: 12,
  reclaimed: 13,
  busy: 14,
  wakeups: 15,
  waitingServers: 16,
  waitingClients: 17,
  committedBytes: 18,
  mappedBytes: 19,
  unreachable: 20,
} as const;

/** What became of the call of an entry in a worker's record. */
export const EntryState = {
  free: 0,
  running: 1,
  timedOut: 2,
  hung: 3,
} as const;

/** Places at the beginning of what `tandem_record_read` writes. */
export const RecordField = {
  entries: 0,
  calls: 1,
  failures: 2,
} as const;

/** Places in what follows there for each entry. */
export const EntryField = {
  entry: 0,
  state: 1,
  sequence: 2,
  method: 3,
  age: 4,
  slot: 5,
  generationLow: 6,
  generationHigh: 7,
} as const;

/** Places in what `tandem_limit_list` writes for each contender. */
export const LimitField = {
  index: 0,
  isWaiting: 1,
  place: 2,
  ticket: 3,
  tokenLow: 4,
  tokenHigh: 5,
  pid: 6,
  runtime: 7,
  since: 8,
  shared: 9,
  urgent: 10,
} as const;

/** What a message of ZeroMQ is. */
export const ZmqKind = {
  plain: 0,
  several: 1,
  odd: 2,
} as const;

/** Places in the control block: of 32-bit words, and of doubles. */
export const Control = {
  detail: 0,
  errno: 1,
  found: 1,
  wanted: 2,
  slot: 6,
  generationLow: 7,
  generationHigh: 8,
  length: 9,
  flags: 10,
  deliveries: 11,
  timeRemaining: 6,
  handle: 7,
  base: 8,
  denseBytes: 9,
  areaStride: 10,
  responseOffset: 11,
  slotsOffset: 12,
  slots: 26,
  maxRequestBytes: 27,
  maxResponseBytes: 28,
  maxDeliveries: 29,
  pathLength: 30,
  kind: 31,
  mode: 32,
  attached: 33,
  attachedServers: 34,
  attachedPids: 35,
  reserved: 43,
  epochLow: 44,
  epochHigh: 45,
  channelLow: 46,
  channelHigh: 47,
  pid: 48,
  uid: 49,
  runtime: 50,
  calls: 51,
  listMax: 52,
  listOrder: 53,
  listHolders: 54,
  listWaiters: 55,
  isNamed: 56,
  reservedLimit: 57,
  board: 29,
} as const;

/** Places in a call of a batch: of 32-bit words. */
export const BatchCall = {
  slot: 0,
  generationLow: 1,
  generationHigh: 2,
  offset: 3,
  length: 4,
  status: 5,
} as const;

/** Places in a batch: of 32-bit words, of addresses, and the offsets of arrays in units of their items. */
export const ZmqBatch = {
  records: 0,
  messages: 24,
  msgRecv: 1216,
  msgSize: 1217,
  msgGets: 1218,
  recv: 1219,
  send: 1220,
  getsockopt: 1221,
  errno: 1222,
  payloadMax: 2446,
  room: 2447,
  sent: 2448,
  full: 2449,
  unreachableCount: 2450,
  padding: 2451,
} as const;

/** Places in a record of a batch: of 32-bit words, and of doubles. */
export const ZmqRecord = {
  object: 0,
  offset: 2,
  length: 3,
  kind: 4,
  padding: 5,
} as const;

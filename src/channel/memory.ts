/**
 * Views of a channel's memory.
 *
 * @module
 */
import {
  requestInlineBytes,
  requestInlineOffset,
  responseInlineBytes,
  responseInlineOffset,
  slotBytes,
} from "../ffi/layout.ts";
import type { Backend } from "../runtime/backend.ts";
import { SlotTable } from "./slot_table.ts";

/** The layout of a channel's memory, as the native side gave it when the channel was opened. */
export interface Geometry {
  readonly base: number;
  readonly slots: number;
  readonly denseBytes: number;
  readonly slotsOffset: number;
  readonly areaStride: number;
  readonly responseOffset: number;
}

/**
 * A channel may be larger than an `ArrayBuffer` can be, so its payload areas are seen through
 * windows of about this many bytes, each made when it is first needed. They are small because
 * JavaScriptCore counts a mapped buffer as heap of its own, and with large ones lets so much more
 * garbage pile up: 600 MB with windows of 1 GiB, 76 MB with these.
 */
const windowBytes = 2 ** 22;

/** Whether there have ever been views. */
export interface HandedOut {
  exist: boolean;
}

/**
 * A view keeps its memory, and with it the channel: a forgotten channel is closed only when the program
 * has no view of it either.
 */
const anchors: WeakMap<ArrayBuffer, Memory> = new WeakMap();

/**
 * Whether a buffer has to be mapped: it never was, or the user has transferred it, as byte streams do
 * with enqueued buffers. A transfer empties all views of the buffer, also views of other messages.
 */
function isGone(buffer: ArrayBuffer | null | undefined): buffer is null | undefined {
  return !buffer || buffer.detached;
}

/** Hands out views, and detaches all of them at the end. */
export class Memory {
  readonly #backend: Backend;
  readonly #geometry: Geometry;
  readonly #windowSlots: number;
  readonly #handedOut: HandedOut;
  /** The object that must not be collected while there are views. */
  owner: object | null = null;
  #dense: ArrayBuffer | null = null;
  readonly #windows: (ArrayBuffer | undefined)[] = [];
  /** The last view of each slot, to use again for the same length: making a view is expensive. */
  readonly #requests: SlotTable<Uint8Array<ArrayBuffer>> = new SlotTable();
  readonly #fronts: SlotTable<Uint8Array<ArrayBuffer>> = new SlotTable();
  readonly #responses: SlotTable<Uint8Array<ArrayBuffer>> = new SlotTable();

  constructor(backend: Backend, geometry: Geometry, handedOut: HandedOut) {
    this.#backend = backend;
    this.#handedOut = handedOut;
    this.#geometry = geometry;
    this.#windowSlots = Math.max(1, Math.round(windowBytes / geometry.areaStride));
  }

  /** A view for a request of `length` bytes. A short one lies beside the slot word. */
  request(slot: number, length: number): Uint8Array<ArrayBuffer> {
    // A detached view has no bytes.
    const known = this.#requests.get(slot);
    if (known !== undefined && known.byteLength === length && length > 0) return known;
    const view = length <= requestInlineBytes
      ? this.#inline(slot, requestInlineOffset, length)
      : this.#area(slot, 0, length);
    this.#requests.set(slot, view);
    return view;
  }

  /** The first `length` bytes of a request whose view is `whole`. */
  requestFront(
    slot: number,
    whole: Uint8Array<ArrayBuffer>,
    length: number,
  ): Uint8Array<ArrayBuffer> {
    const known = this.#fronts.get(slot);
    const isSame = known !== undefined && known.byteLength === length && length > 0 &&
      known.byteOffset === whole.byteOffset && known.buffer === whole.buffer;
    if (isSame) return known;
    const view = whole.subarray(0, length);
    this.#fronts.set(slot, view);
    return view;
  }

  /** A view for a response of `length` bytes. */
  response(slot: number, length: number): Uint8Array<ArrayBuffer> {
    const known = this.#responses.get(slot);
    if (known !== undefined && known.byteLength === length && length > 0) return known;
    const view = length <= responseInlineBytes
      ? this.#inline(slot, responseInlineOffset, length)
      : this.#area(slot, this.#geometry.responseOffset, length);
    this.#responses.set(slot, view);
    return view;
  }

  /**
   * Detaches every view. False: there were views, so the addresses have to stay valid. A native function
   * of the runtime may be reading one in another thread, or the user may have transferred its buffer.
   */
  detach(): boolean {
    let hadNone = true;
    for (const buffer of [this.#dense, ...this.#windows]) {
      if (!buffer) continue;
      hadNone = false;
      if (!buffer.detached) buffer.transfer(0);
    }
    this.#dense = null;
    this.#windows.length = 0;
    this.#requests.clear();
    this.#fronts.clear();
    this.#responses.clear();
    return hadNone;
  }

  #inline(slot: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const { base, denseBytes, slotsOffset } = this.#geometry;
    let dense = this.#dense;
    if (isGone(dense)) dense = this.#dense = this.#map(base, denseBytes);
    return new Uint8Array(dense, slotsOffset + slot * slotBytes + offset, length);
  }

  #area(slot: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const { areaStride } = this.#geometry;
    const index = Math.floor(slot / this.#windowSlots);
    let window = this.#windows[index];
    if (isGone(window)) window = this.#windows[index] = this.#window(index);
    const slotInWindow = slot - index * this.#windowSlots;
    return new Uint8Array(window, slotInWindow * areaStride + offset, length);
  }

  #window(index: number): ArrayBuffer {
    const { base, denseBytes, areaStride, slots } = this.#geometry;
    const first = index * this.#windowSlots;
    const count = Math.min(this.#windowSlots, slots - first);
    return this.#map(base + denseBytes + first * areaStride, count * areaStride);
  }

  /** The memory of a transferred buffer stays in place and may be mapped again. */
  #map(address: number, byteLength: number): ArrayBuffer {
    const buffer = this.#backend.mapping(address, byteLength);
    anchors.set(buffer, this);
    this.#handedOut.exist = true;
    return buffer;
  }
}

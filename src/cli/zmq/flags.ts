/**
 * What `tandem zmq` can be told.
 *
 * @module
 */

/** The flags of `tandem zmq`. */
export interface DoorFlags {
  readonly target: string;
  readonly frontend?: string;
  readonly errors?: "frame" | "silent";
  readonly idFrame?: boolean;
  readonly remember?: number;
  readonly maxMessageBytes?: number;
  readonly highWaterMark?: number;
  readonly method?: string;
  readonly timeout?: number;
  readonly secretKeyFile?: string;
  readonly allow?: readonly string[];
  readonly backend?: string;
}

/** The flags of `tandem zmq call`. */
export interface CallFlags {
  readonly timeout: number;
  readonly attempts: number;
  readonly endpoint: string;
  readonly identity?: string;
  readonly idFrame?: boolean;
  readonly serverKey?: string;
  readonly secretKeyFile?: string;
}

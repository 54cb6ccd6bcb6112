/** The interface of the typed service. */
export interface Api {
  add(a: number, b: number): number;
  pieces(bytes: number, total: number): AsyncGenerator<Uint8Array>;
}

import { work, workerInfo } from "@tandem/ipc/pool";

const api = {
  add: (a: number, b: number): number => a + b,
  number: (): number => workerInfo().number,
};
export type Api = typeof api;

work(api);

import type { NodeStage } from "./stage.ts";
export function mesh(_: NodeStage): Promise<string> {
  return Promise.resolve("");
}

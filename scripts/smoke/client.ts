import { Client } from "@tandem/ipc";

const sent = "from one process to another: ✓";
using client = await Client.connect("smoke", { timeout: 30_000 });
const answer: Uint8Array<ArrayBuffer> = client.requestSync(sent, { timeout: 30_000 });
const received: string = new TextDecoder().decode(answer);
if (received !== sent) throw new Error(`sent "${sent}", received "${received}"`);

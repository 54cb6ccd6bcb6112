/** Two nodes; prints the answer of a port, and why it ended, with an error whose class is that of the other entry. */
import { TandemError } from "@tandem/ipc";
import { Node } from "@tandem/ipc/node";

const one = await Node.start({ name: "one" });
const other = await Node.start({ name: "other" });
const port = one.port({ double: (n: number) => 2 * n });
const answer = await other.at<{ double(n: number): number }>(port.id).double(21);
port.kill("over");
let code = "";
try {
  await other.at<{ double(n: number): number }>(port.id).double(1);
} catch (error) {
  if (!(error instanceof TandemError)) throw error;
  code = error.code;
}
console.log(answer, code);
await other.close();
await one.close();

/** A lock; prints its place, and the code of an error whose class is that of the other entry. */
import { TandemError } from "@tandem/ipc";
import { Limit } from "@tandem/ipc/limit";

const limit = new Limit("smoke", { max: 3 });
const lock = await limit.acquire({ timeout: 60_000 });
let code = "";
try {
  new Limit("smoke", { max: 4 });
} catch (error) {
  if (!(error instanceof TandemError)) throw error;
  code = error.code;
}
console.log(lock?.id, code);
limit.close();

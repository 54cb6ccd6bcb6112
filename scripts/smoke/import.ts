import * as tandem from "@tandem/ipc";
import { main } from "./program.ts";

await main(tandem);

/**
 * The tasks of the workers of other pools, which load modules of Node: piscina, tinypool and workerpool.
 */
import process from "node:process";

export default (value) => value;
export const crash = () => process.exit(70);

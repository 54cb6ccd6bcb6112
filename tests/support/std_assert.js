// What `@std/assert` means in this repository: the same code from the npm registry, so that both
// runtimes find it in node_modules. To use the original, change the line in deno.json.
// @ts-self-types="./std_assert.d.ts"
export * from "../../node_modules/deno-std/assert/mod.js";

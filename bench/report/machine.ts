/**
 * Describes the machine: figures mean nothing without it.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem } from "node:os";
import { hyperfineVersion } from "../lib/hyperfine.ts";
import { installedPath } from "../contenders/packages.ts";
import { natsServer } from "../lib/nats.ts";
import { runtimePath } from "../../scripts/tools.ts";
import { type Runtime, runtimes } from "../lib/runtimes.ts";

/** The properties of this machine, by name. */
export function describeMachine(): Record<string, string> {
  const processors = cpus();
  return {
    processor: `${processors.length} × ${processors[0]?.model.trim() || "unknown"} (${arch()})`,
    virtualization: isVirtual() ? "a virtual machine: its processors may move about" : "none seen",
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    "load before": loadavg().map((load) => load.toFixed(2)).join(", "),
    ...Object.fromEntries(runtimes.map((runtime) => [runtime, versionOf(runtime)])),
    ...contenderVersions(),
    "nats-server": numberIn(output(natsServer, ["--version"])),
    hyperfine: numberIn(hyperfineVersion() ?? ""),
    revision: revision(),
  };
}

function versionOf(runtime: Runtime): string {
  return numberIn(output(runtimePath(runtime), ["--version"]));
}

function numberIn(text: string): string {
  return /\d[\w.-]*/.exec(text)?.[0] ?? "not installed";
}

/** The versions of the packages that were installed for the benchmarks. */
function contenderVersions(): Record<string, string> {
  const wanted = new URL("../contenders/package.json", import.meta.url);
  const { dependencies } = JSON.parse(readFileSync(wanted, "utf8")) as {
    dependencies: Record<string, string>;
  };
  return Object.fromEntries(
    Object.keys(dependencies).map((name) => [name, installedVersion(name)]),
  );
}

function installedVersion(name: string): string {
  try {
    const file = installedPath(`node_modules/${name}/package.json`);
    return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  } catch {
    return "not installed";
  }
}

function isVirtual(): boolean {
  try {
    return /^flags\b.*\bhypervisor\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return false;
  }
}

function revision(): string {
  const id = output("git", ["rev-parse", "--short", "HEAD"]);
  if (!id) return "unknown";
  return output("git", ["status", "--porcelain"]) ? `${id}, with changes` : id;
}

function output(program: string, args: readonly string[]): string {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    return execFileSync(program, args, { encoding: "utf8", stdio: [...stdio] }).trim();
  } catch {
    return "";
  }
}

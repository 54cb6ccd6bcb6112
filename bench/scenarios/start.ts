/**
 * Measures the cost before the first call.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { hyperfineVersion, timePrograms } from "../lib/hyperfine.ts";
import {
  type Bar,
  type Context,
  type Outcome,
  ratioText,
  type Scenario,
  significant,
} from "../lib/outcome.ts";
import { Child } from "../lib/parent.ts";
import { hostCommand, type Runtime, runtimes } from "../lib/runtimes.ts";
import { Stage } from "../lib/stage.ts";
import { summarize } from "../lib/stats.ts";
import type { Opened } from "../programs/opening.ts";

/** In the order in which they run. */
const programs = ["bare", "importing", "importing_built", "loading"] as const;

/** Users import the sources from JSR, or one file from npm. */
const imports = { importing: "sources", importing_built: "npm package" } as const;

export const scenario: Scenario = {
  name: "start",
  title: "Import, open, attach",
  about:
    "Hyperfine times whole processes: an empty module; one that imports the sources, as from JSR; one that " +
    "imports the file of the npm package; and one that also loads the native library from the sources, as " +
    "the first use does. They take turns in rounds of a few runs; the difference is to the empty module of " +
    "the same round. `open` and `attach` are timed inside new processes that have loaded the library: the " +
    "first time of each.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const started = startTimes(stage, context.isShort ? 4 : 10, context.isShort ? 3 : 5);
  const opened = await openTimes(stage, context.isShort ? 10 : 40);
  return {
    tables: [...started.tables, ...opened.tables],
    bars: [...started.bars ?? [], ...opened.bars ?? []],
    notes: started.notes ?? [],
  };
}

function startTimes(stage: Stage, rounds: number, runs: number): Outcome {
  if (hyperfineVersion() === null) {
    const reason = "hyperfine is not installed; `scripts/setup --bench` installs it.";
    return {
      tables: [],
      bars: importBars(() => NaN),
      notes: [`Start and import were not measured: ${reason}`],
    };
  }
  const folder = stage.path("package");
  execFileSync(fileURLToPath(new URL("../../scripts/build_package", import.meta.url)), [folder]);
  // As `importing`. The import must be static, because Deno caches no compiled code of others.
  const importingBuilt = stage.path("ts");
  const module = readFileSync(programUrl("importing"), "utf8")
    .replace("../../mod.ts", `${folder}/mod.js`);
  writeFileSync(importingBuilt, module);
  const commands = runtimes.flatMap((runtime) =>
    programs.map((name) => {
      const module = name === "importing_built" ? pathToFileURL(importingBuilt) : programUrl(name);
      const { program, args } = hostCommand(runtime, module, []);
      return [program, ...args];
    })
  );
  const report = stage.path("json");
  const times = commands.map((): number[] => []);
  const above = commands.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    timePrograms(commands, runs, report).forEach((measured, index) => {
      times[index]!.push(...measured);
      const bare = index - index % programs.length;
      const bareTimes = times[bare]!.slice(-runs);
      above[index]!.push(summarize(measured).median - summarize(bareTimes).median);
    });
  }
  const rows = commands.map((_, index) => {
    const { min, median } = summarize(times[index]!);
    return {
      runtime: runtimes[Math.floor(index / programs.length)]!,
      module: programs[index % programs.length]!,
      "best, ms": significant(min),
      "median, ms": significant(median),
      "above the empty one, ms": index % programs.length === 0
        ? ""
        : ratioText(summarize(above[index]!)),
    };
  });
  const bars = importBars((runtime, program) => {
    const index = runtimes.indexOf(runtime) * programs.length + programs.indexOf(program);
    return summarize(above[index]!).median;
  });
  return { tables: [{ title: "Start of a process", rows }], bars };
}

function programUrl(name: string): URL {
  return new URL(`../programs/${name}.ts`, import.meta.url);
}

type Import = keyof typeof imports;

function importBars(measured: (runtime: Runtime, program: Import) => number): readonly Bar[] {
  return runtimes.flatMap((runtime) =>
    // Node strips the types of sources at each start, and users get none to run.
    Object.entries(imports).filter(([program]) => runtime !== "node" || program !== "importing")
      .map(([program, what]): Bar => ({
        what: `import, ${runtime}, ${what}, ms above the bare start`,
        measured: measured(runtime, program as Import),
        isLimit: true,
        must: 15,
        goal: 5,
        write: significant,
      }))
  );
}

async function openTimes(stage: Stage, processes: number): Promise<Outcome> {
  const module = programUrl("opening");
  const times = new Map(runtimes.map((runtime) => [runtime, [] as Opened[]]));
  for (let count = 0; count < processes; count++) {
    for (const runtime of runtimes) {
      await using child = Child.of(runtime, module, [stage.path("tandem")]);
      times.get(runtime)!.push(await child.receive<Opened>());
    }
  }
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const [runtime, all] of times) {
    for (const what of ["opens", "attaches"] as const) {
      const first = summarize(all.map((each) => each[what][0]!));
      const later = summarize(all.flatMap((each) => each[what].slice(1)));
      const name = what === "opens" ? "open" : "attach";
      rows.push({
        runtime,
        "": name,
        "first, ms": ratioText(first),
        "later, ms": ratioText(later),
      });
      bars.push({
        what: `${name}, ${runtime}, first in a process, ms`,
        measured: first.median,
        isLimit: true,
        must: 1,
        goal: 0.2,
        write: significant,
      });
    }
  }
  return { tables: [{ title: "Open (create) and attach", rows }], bars };
}

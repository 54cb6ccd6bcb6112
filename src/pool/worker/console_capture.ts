/**
 * The console of a worker: its methods write log records instead of lines.
 *
 * @module
 */
import type { LogLevel } from "../types.ts";
import { formatted } from "../link/formatting.ts";

/** Takes what a method of the console would print, without the last line break. */
export type ConsoleSink = (level: LogLevel, text: string) => void;

type Method = (...args: unknown[]) => void;
type Methods = Record<string, Method>;

/** The methods that print, and how important it is. */
const levels: Readonly<Record<string, LogLevel>> = {
  debug: "debug",
  trace: "debug",
  log: "info",
  info: "info",
  dir: "info",
  dirxml: "info",
  table: "info",
  count: "info",
  time: "info",
  timeEnd: "info",
  timeLog: "info",
  group: "info",
  groupCollapsed: "info",
  groupEnd: "info",
  countReset: "warning",
  warn: "warning",
  error: "error",
  assert: "error",
};

interface Stream {
  write(text: string): boolean;
  on(): Stream;
  once(): Stream;
  off(): Stream;
  removeListener(): Stream;
  listenerCount(): number;
}

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly console: Methods;
  readonly process: {
    getBuiltinModule(name: "node:console"): {
      readonly Console: new (options: object) => Methods;
    };
  };
}

/** Each runtime has this class of Node, which formats and counts, and keeps groups and timers. */
function newConsole(write: (text: string) => void): Methods {
  const { process } = globalThis as unknown as Global;
  const { Console } = process.getBuiltinModule("node:console");
  const same = (): Stream => stream;
  const stream: Stream = {
    write: (text) => {
      write(text);
      return true;
    },
    on: same,
    once: same,
    off: same,
    removeListener: same,
    listenerCount: () => 0,
  };
  return new Console({ stdout: stream, stderr: stream, ignoreErrors: true, colorMode: false });
}

/** From now on, what the methods of the console would print goes to `sink`, and nowhere else. */
export function captureConsole(sink: ConsoleSink): void {
  const { console } = globalThis as unknown as Global;
  let text = "";
  // Loaded when something is printed: many workers never do.
  let inner: Methods | undefined;
  const capture = (name: string, args: unknown[]): string => {
    inner ??= newConsole((part) => text += part);
    text = "";
    if (name === "trace") inner["log"]!(traceOf(args));
    else inner[name]!(...args);
    return text;
  };
  let isPrinting = false;
  for (const [name, level] of Object.entries(levels)) {
    console[name] = (...args) => {
      // An object that prints when it is printed would not end.
      if (isPrinting) return;
      isPrinting = true;
      try {
        const printed = capture(name, args);
        if (printed !== "") sink(level, printed.endsWith("\n") ? printed.slice(0, -1) : printed);
      } finally {
        isPrinting = false;
      }
    };
  }
}

/** Not by the inner console: in Bun it leaves the text out. */
function traceOf(args: readonly unknown[]): string {
  const { stack = "" } = new Error();
  const frames = stack.slice(Math.max(0, stack.indexOf("\n    at "))).split("\n    at ").slice(4);
  const title = args.length === 0 ? "Trace" : `Trace: ${formatted(args)}`;
  return [title, ...frames].join("\n    at ");
}

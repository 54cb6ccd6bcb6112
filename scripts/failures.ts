/**
 * Says which tests of a suite have failed, and why, in few lines: what `scripts/test` repeats at its end.
 *
 *     bun scripts/failures.ts SUITE LOG [REPORT]
 *
 * LOG is what the suite's runner has written, REPORT its JUnit XML. There may be none if the runner broke off.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";

/** Lines of a message. */
const most = 40;

interface Failure {
  readonly name: string;
  readonly message: string;
}

const [suite, logFile, reportFile] = process.argv.slice(2);
if (!suite || !logFile) throw new Error("usage: bun scripts/failures.ts SUITE LOG [REPORT]");
const log = read(logFile);
const failures = [...failuresOfReport(read(reportFile)), ...failuresOfLog(log)];
// It crashed, hung or could not begin: its last words have to do.
if (failures.length === 0) failures.push({ name: "broke off", message: lastLines(log) });
for (const { name, message } of failures) {
  const lines = message.split("\n");
  const rest = lines.length - most;
  if (rest > 0) lines.splice(most, rest, `(${rest} more lines)`);
  console.log([`${suite}: ${name}`, ...lines.map((line) => `    ${line}`)].join("\n"));
}

function read(file: string | undefined): string {
  if (file === undefined || !existsSync(file)) return "";
  return stripVTControlCharacters(readFileSync(file, "utf8"));
}

function* failuresOfReport(report: string): Generator<Failure> {
  for (
    const [, name, body] of report.matchAll(
      /<testcase [^<]*?\bname="([^"]*)"[^<]*(?<!\/)>([^]*?)<\/testcase>/g,
    )
  ) {
    const text = /<(failure|error)\b(?:\s+[\w-]+="[^"]*")*\s*(?:\/>|>([^]*?)<\/\1>)/.exec(body!);
    if (text) yield { name: unescape(name!), message: plain(unescape(text[2] ?? "")) };
  }
}

/** Failures that no report names: Zig's tests, and what fails in Bun outside of a test. */
function* failuresOfLog(log: string): Generator<Failure> {
  for (const [, name, message] of log.matchAll(/^error: '(.*?)' (.*\n(?: +.*\n)*)/gm)) {
    yield { name: name!, message: plain(message!) };
  }
  for (const [, message] of log.matchAll(/^# Unhandled error between tests\n-+\n([^]*?)^-+$/gm)) {
    yield { name: "outside of a test", message: plain(message!) };
  }
}

/** Without what Node's runner wraps around an error, and without empty lines. */
function plain(message: string): string {
  return message.replace(/^\s*\[Error \[ERR_TEST_FAILURE\][^]*?\n {2}cause: /, "").replace(
    /\n(\s*\n)+/g,
    "\n",
  ).trim();
}

function unescape(text: string): string {
  const characters: Record<string, string> = {
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    amp: "&",
    "#10": "\n",
  };
  // Twice: the oldest Node escapes ampersands that are escapes already.
  const once = (text: string) =>
    text.replace(/&(lt|gt|quot|apos|amp|#10);/g, (_, name) => characters[name]!);
  return once(once(text));
}

function lastLines(log: string): string {
  return log.trimEnd().split("\n").slice(-most).join("\n");
}

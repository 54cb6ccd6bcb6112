import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import { Client, IntServer, serve, Server } from "../../mod.ts";
import { folder, runtime, spawn, test } from "../support/harness.ts";
import { type Outcome, runFile } from "../support/run.ts";

const tandem = (args: readonly string[], input?: string): Promise<Outcome> =>
  runFile("src/cli/main.ts", args, input === undefined ? {} : { input });

/** A target in the folder that the command looks in. */
const inFolder = (name: string): string => `${folder()}/${name}.tandem`;

const api = {
  add: (a: number, b: number) => a + b,
  greet: (name: string) => `Hello ${name}`,
  lengths: (words: string[]) => words.map((word) => word.length),
  *count(to: number) {
    for (let number = 1; number <= to; number++) yield { number };
  },
  image: () => new TextEncoder().encode("\u{1f5bc} as bytes"),
  nothing: () => {},
  odd: () => ({ big: 2n ** 70n, map: new Map([["a", new Set([1])]]), bytes: new Uint8Array([1]) }),
  fail: () => {
    throw new RangeError("out of paper");
  },
};

function assertDone({ code, signal, stderr }: Outcome): void {
  assertEquals({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
}

test("tandem call: arguments and results are JSON", async () => {
  await using service = serve(inFolder("thumbs"), api);
  const cases: [string[], string][] = [
    [["add", "[1, 2]"], "3\n"],
    [["greet", '"you"'], '"Hello you"\n'],
    [["lengths", '[["a", "bc"]]'], "[1,2]\n"],
    [["count", "3"], '{"number":1}\n{"number":2}\n{"number":3}\n'],
    [["image"], "\u{1f5bc} as bytes"],
    [["nothing"], ""],
    [["odd"], '{"big":"1180591620717411303424","map":{"a":[1]},"bytes":"AQ=="}\n'],
  ];
  for (const [args, expected] of cases) {
    const outcome = await tandem(["call", "thumbs", ...args]);
    assertDone(outcome);
    assertEquals(outcome.stdout, expected);
  }
  const outcome = await tandem(["call", "thumbs", "add", "-"], "[20,\n 22]\n");
  assertDone(outcome);
  assertEquals(outcome.stdout, "42\n");
  service.unlink();
});

test("tandem call: a raw channel answers what standard input asks", async () => {
  await using server = Server.open(inFolder("raw"));
  const serving = server.serve((request) => request.text().toUpperCase());
  for (const args of [["raw"], ["raw", "-"]]) {
    const outcome = await tandem(["call", ...args], "line\n");
    assertDone(outcome);
    assertEquals(outcome.stdout, "LINE\n");
  }
  server.close();
  await serving;
});

test("tandem call: what fails has its code, on stderr and as exit code", async () => {
  await using service = serve(inFolder("thumbs"), api);
  const cases: [string[], number, RegExp][] = [
    [["call", "thumbs", "fail"], 1, /^tandem: .*out of paper.*"fail" of .*\(REMOTE\)\n$/],
    [["call", "thumbs", "missing"], 1, /^tandem: .*the service offers .*\(UNKNOWN_METHOD\)\n$/],
    [["call", "nobody", "add", "--timeout", "50ms"], 1, /^tandem: .*"nobody".*\(NO_SERVER\)\n$/],
    [["call", "thumbs", "add", "[1"], 2, /^tandem: Cannot read the arguments as JSON: .*; give /],
    [
      ["call", "thumbs", "add", "--timeout", "soon"],
      2,
      /^tandem: .*Cannot use "soon" as a duration/,
    ],
    [["call", "thumbs", "then"], 2, /^tandem: Cannot call "then": no service can offer a method/],
    [["call", "no name"], 2, /^tandem: Cannot open channel "no name": a name begins with/],
    [["call"], 2, /^tandem: Expected argument for target; `tandem --help`/],
    [["stat", "nobody"], 1, /^tandem: .*\(NOT_FOUND\)\n$/],
    [
      ["rm", "nobody"],
      1,
      /^tandem: Cannot remove channel "nobody": there is none; .*\(NOT_FOUND\)\n$/,
    ],
    [["frobnicate"], 2, /frobnicate/],
    [["ls", "--frobnicate"], 2, /frobnicate/],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await tandem(args);
    assertEquals([outcome.code, outcome.stdout], [code, ""], `${args}: ${outcome.stderr}`);
    assertMatch(outcome.stderr, message);
  }
  service.unlink();
});

test("tandem call: --retries tries again after the death of the service", async () => {
  const target = inFolder("held");
  const start = async () => {
    const service = await spawn(runtime, "typed.ts", [target, "{}"]);
    await service.expect("ready");
    return service;
  };
  for (const retries of [0, 1]) {
    const calling = tandem(["call", "held", "hold", "--retries", String(retries)]);
    for (let attempt = 0; attempt <= retries; attempt++) {
      const service = await start();
      await service.expect("holding 1");
      await service.killed();
    }
    const { code, stderr } = await calling;
    assertEquals(code, 1);
    assertMatch(stderr, /\(SERVER_DIED\)\n$/);
  }
});

test("tandem call: a full channel refuses for now", async () => {
  const target = inFolder("full");
  using server = Server.create(target, { slots: 1 });
  using client = Client.open(target);
  using _call = client.sendSync("takes the only slot");
  const outcome = await tandem(["call", "full", "--timeout", "0.1"], "x");
  assertEquals(outcome.code, 75, outcome.stderr);
  assertMatch(outcome.stderr, /\(BUSY\)\n$/);
  server.unlink();
});

test("tandem ls: every channel, also those that cannot be opened", async () => {
  const empty = await tandem(["ls"]);
  assertEquals([empty.code, empty.stdout], [0, ""]);
  assertStringIncludes(empty.stderr, folder());

  await using service = serve(inFolder("thumbs"), api);
  using _integers = IntServer.open(inFolder("numbers"));
  writeFileSync(inFolder("garbage"), "garbage");
  writeFileSync(`${folder()}/notes.txt`, "no channel");
  const table = await tandem(["ls"]);
  assertDone(table);
  const rows = table.stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
  assertEquals(rows[0]!.slice(0, 4), ["TARGET", "KIND", "SERVERS", "CLIENTS"]);
  assertEquals(rows.slice(1).map((row) => row.slice(0, 4)), [
    ["garbage", "CORRUPT"],
    ["numbers", "integers", "1", "0"],
    ["thumbs", "bytes", "1", "0"],
  ]);

  const lines = (await tandem(["ls", "--json"])).stdout.trimEnd().split("\n");
  const objects = lines.map((line) => JSON.parse(line));
  assertEquals(objects.map(({ target }) => target), ["garbage", "numbers", "thumbs"]);
  assertEquals(objects[0].error.code, "CORRUPT");
  assertEquals(objects[2].stats.servers, 1);
  service.unlink();
});

test("tandem stat: numbers and participants, without the one that looks", async () => {
  const target = inFolder("thumbs");
  await using service = serve(target, api);
  const { stdout } = await tandem(["stat", "thumbs", "--json"]);
  const { stats, participants, path } = JSON.parse(stdout);
  assertEquals([stats.servers, stats.clients, path], [1, 0, target]);
  assertEquals(participants, [
    { role: "server", pid: process.pid, uid: process.geteuid!(), runtime, calls: 0 },
  ]);

  const table = await tandem(["stat", target]);
  assertDone(table);
  assertMatch(table.stdout, /^target +\S+\n/);
  assertMatch(table.stdout, /^servers +1$/m);
  assertMatch(table.stdout, new RegExp(`^server +${process.pid} +\\d+ +${runtime} +0$`, "m"));

  const metrics = await tandem(["stat", "thumbs", "--prometheus"]);
  assertDone(metrics);
  for (const line of metrics.stdout.trimEnd().split("\n")) {
    assertMatch(
      line,
      /^# HELP tandem_\w+ .+\.$|^# TYPE tandem_\w+ (gauge|counter)$|^tandem_\w+\{target="thumbs"\} \d+$/,
    );
  }
  assertStringIncludes(metrics.stdout, '\ntandem_servers{target="thumbs"} 1\n');
  service.unlink();
});

test("tandem rm: removes the file of a channel", async () => {
  const target = inFolder("old");
  Server.create(target).close();
  assertDone(await tandem(["rm", "old"]));
  assertEquals(existsSync(target), false);
  assertEquals((await tandem(["rm", "old"])).code, 1);
});

test("tandem --help names every command, and --version the version", async () => {
  const help = await tandem(["--help"]);
  assertDone(help);
  for (const command of ["ls", "stat", "call", "rm", "limit"]) {
    assertMatch(help.stdout, new RegExp(`^ +tandem ${command} `, "m"));
    const own = await tandem([command, "--help"]);
    assertDone(own);
    assert(own.stdout.startsWith("USAGE\n"), own.stdout);
  }
  assertMatch((await tandem(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});

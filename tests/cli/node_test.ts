/** `tandem node`, as a user of a shell sees it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Server } from "../../mod.ts";
import { checkout, toolCommand } from "../../scripts/tools.ts";
import { run } from "../../src/cli/app.ts";
import { channelFolder } from "../../src/cli/folder.ts";
import { type FollowerPort, LogDesk, type LogLine } from "../../src/cli/node/log_desk.ts";
import { logFollower } from "../../src/cli/node/logs.ts";
import { openServicePort } from "../../src/cli/node/service_port.ts";
import { Node, type PortId, type Reason } from "../../src/node/main.ts";
import { type Child, eventually, runtime, startProgram, test } from "../support/harness.ts";
import { sizesOf } from "../support/memory_carrier.ts";

const serviceFile = join(checkout, "tests/fixtures/cli/node_service.ts");

/** What a command has done. */
interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A context whose output is kept. */
function contextOf(input = "") {
  const output = { stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  const context = {
    process: {
      stdout: {
        write: (text: string | Uint8Array) =>
          void (output.stdout += typeof text === "string" ? text : decoder.decode(text)),
      },
      stderr: { write: (text: string) => void (output.stderr += text) },
      env: {},
    },
    write: (result: string | Uint8Array) => Promise.resolve(context.process.stdout.write(result)),
    readInput: () => Promise.resolve(new TextEncoder().encode(input)),
  };
  return { context, output };
}

const signals = ["SIGTERM", "SIGINT"] as const;

/** Signals for the commands that start from now on. The runner of the tests listens to signals, too, and gets none. */
class CommandSignals {
  readonly #others = new Set(signals.flatMap((name) => process.listeners(name)));

  send(name: (typeof signals)[number]): void {
    const listeners = process.listeners(name).filter((listener) => !this.#others.has(listener));
    assert(listeners.length > 0, `a command listens to ${name}`);
    for (const listener of listeners) listener(name);
  }
}

let groups = 0;

/** A group of its own, of which nothing is left at the end. */
class Group implements AsyncDisposable {
  readonly name: string = `cli-${process.pid}-${groups++}`;
  readonly #nodes: Node[] = [];

  async start(name: string): Promise<Node> {
    const node = await Node.start({ name, group: this.name });
    this.#nodes.push(node);
    return node;
  }

  /** Runs a command in this process. */
  async tandem(args: readonly string[], input?: string): Promise<Done> {
    const { context, output } = contextOf(input);
    const [command, ...rest] = args;
    const code = await run(["node", command!, "--group", this.name, ...rest], context);
    return { code, ...output };
  }

  /** Runs a command, in this process, that succeeds. @returns what it writes; `remark`: on standard error */
  async done(args: readonly string[], input?: string, remark = /^$/): Promise<string> {
    const { code, stdout, stderr } = await this.tandem(args, input);
    assertEquals(code, 0, stderr);
    assertMatch(stderr, remark, args.join(" "));
    return stdout;
  }

  /** Starts a command that goes on. */
  child(command: string, ...args: readonly string[]): Child {
    const { program, args: rest } = toolCommand(runtime, join(checkout, "src/cli/main.ts"), [
      ...["node", command, "--group", this.name],
      ...args,
    ]);
    return startProgram(`tandem node ${command}`, [program, ...rest], { NO_COLOR: "1" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.close();
    Server.unlink(`${this.name}.nodes`);
  }
}

const wrote = (child: Child, pattern: RegExp): Promise<void> =>
  eventually(() => {
    if (!child.isRunning) throw new Error(child.describe());
    return pattern.test(child.stderr);
  }, `${pattern}`);

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("tandem node ls: who is there; a look makes no group", async () => {
  await using group = new Group();
  const nobody = await group.tandem(["ls"]);
  assertEquals([nobody.code, nobody.stdout], [0, ""]);
  assertMatch(nobody.stderr, /^There are no nodes in group "cli-/);
  assert(!existsSync(`${channelFolder()}/${group.name}.nodes.tandem`));

  const node = await group.start("images");
  using _port = node.port({ get: () => 1 });
  const [head, row, ...others] = (await group.done(["ls"])).trimEnd().split("\n");
  assertMatch(head!, /^NODE +NAME +PID +RUNTIME +PORTS$/);
  assertEquals(row!.split(/ +/), [node.id, "images", `${process.pid}`, runtime, "1"]);
  assertEquals(others, []);
  const object = JSON.parse(await group.done(["ls", "--json"]));
  assertEquals(object, { id: node.id, name: "images", pid: process.pid, runtime, ports: 1 });
});

test("tandem node send, call: to a port, or to one that is registered", async () => {
  await using group = new Group();
  const node = await group.start("counters");
  let total = 0;
  const port = node.port({
    add: (...numbers: number[]) => void numbers.forEach((number) => total += number),
    get: () => total,
    echo: (value: unknown) => value,
    fail: () => {
      throw new RangeError("out of paper");
    },
  });
  node.registry.register("counters", port);
  node.registry.set("roles", "leader", port.id);
  assertEquals(await group.done(["send", port.id, "add", "1", "2"]), "");
  assertEquals(await group.done(["send", "--family", "counters", "add", "--", "-1"]), "");
  assertEquals(total, 2);
  assertEquals(await group.done(["call", port.id, "get"]), "2\n");
  assertEquals(await group.done(["call", "--family", "counters", "get"]), "2\n");
  const text = '{"a":["\u{1f5bc}",null]}';
  const leader = ["call", "--family", "roles", "--key", "leader"];
  assertEquals(await group.done([...leader, "echo", text]), `${text}\n`);
  assertEquals(await group.done([...leader, "echo", "-"], `${text}\n`), `${text}\n`);
  assertEquals(await group.done(["call", port.id, "echo"]), "");
  assertEquals(
    await group.done(["call", node.id, "nodes"]).then(JSON.parse).then((a) => a.length),
    1,
  );

  const failed = await group.tandem(["call", port.id, "fail"]);
  assertEquals([failed.code, failed.stdout], [1, ""]);
  assertMatch(failed.stderr, /^tandem: .*out of paper.*\(REMOTE\)\n$/);
  const ended = await group.tandem(["send", port.id, "subtract", "1"]);
  assertEquals(ended.code, 1);
  assertMatch(ended.stderr, /the port has ended \(unhandled_message: .*\(PORT_DIED\)\n$/);
  const gone = await group.tandem(["call", port.id, "get"]);
  assertEquals(gone.code, 1);
  assertMatch(gone.stderr, /\(no_such_port: .*\(PORT_DIED\)\n$/);
});

test("tandem node send: a port that is registered later is found in time", async () => {
  await using group = new Group();
  const node = await group.start("late");
  const sending = group.tandem(["call", "--family", "late", "--timeout", "infinity", "get"]);
  await eventually(() => node.nodes().length === 1, "the command has joined");
  node.registry.register("late", node.port({ get: () => 7 }));
  assertEquals(await sending, { code: 0, stdout: "7\n", stderr: "" });
});

test("tandem node --trace: each message of the command", async () => {
  await using group = new Group();
  const node = await group.start("traced");
  const port = node.port({ get: () => 7 });
  const { code, stdout, stderr } = await group.tandem(["call", "--trace", port.id, "get"]);
  assertEquals([code, stdout], [0, "7\n"]);
  const [sent, got, ...others] = stderr.trimEnd().split("\n");
  assertEquals(others, []);
  const at = `tandem: sent to ${node.id}: `;
  assert(sent!.startsWith(at), sent);
  const [kind, number, local, method] = JSON.parse(sent!.slice(at.length));
  assertEquals([kind, `${node.id}#${local}`, method], ["call", port.id, "get"]);
  assertEquals(got, `tandem: got from ${node.id}: ["answer",${number},7]`);
});

test("tandem node monitor: says why a port has ended", async () => {
  await using group = new Group();
  const node = await group.start("short");
  const port = node.port();
  const monitoring = group.tandem(["monitor", port.id]);
  const asJson = group.tandem(["monitor", "--json", port.id]);
  await eventually(() => sizesOf(node)["watchers"] === 2, "both watch");
  node.kill(port.id, { message: "not\nneeded", details: [1] });
  assertEquals(await monitoring, { code: 0, stdout: "kill: not needed [1]\n", stderr: "" });
  const reason: Reason = JSON.parse((await asJson).stdout);
  assertEquals(reason, { kind: "kill", message: "not\nneeded", node: node.id, details: [1] });

  assertMatch(await group.done(["monitor", port.id]), /^no_such_port: /);
  const late = await group.tandem(["monitor", node.id, "--timeout", "1ms"]);
  assertEquals(late.code, 1);
  assertMatch(late.stderr, /has not ended in time.*\(TIMEOUT\)\n$/);
});

test("tandem node registry: entries of a family", async () => {
  await using group = new Group();
  const node = await group.start("colors");
  node.registry.set("colors", "red", { hex: "#f00" });
  const [head, row] = (await group.done(["registry", "colors"])).split("\n");
  assertMatch(head!, /^KEY +NODE +VALUE$/);
  assertEquals(row!.split(/ +/), ["red", node.id, '{"hex":"#f00"}']);
  assertEquals(JSON.parse(await group.done(["registry", "--json", "colors"])), {
    ...{ key: "red", value: { hex: "#f00" }, node: node.id, port: null },
  });
  assertEquals(await group.done(["registry", "shapes"]), "");
});

test("tandem node registry --watch: what is there, and each change, until a signal", async () => {
  await using group = new Group();
  const node = await group.start("colors");
  node.registry.set("colors", "red", 1);
  const commands = new CommandSignals();
  const watching = (...flags: string[]) => {
    const { context, output } = contextOf();
    const args = ["node", "registry", "--group", group.name, "--watch", ...flags, "colors"];
    return { ended: run(args, context), output };
  };
  const [text, json] = [watching(), watching("--json")];
  const shows = (inText: string, inJson: string) =>
    eventually(
      () => text.output.stdout.includes(inText) && json.output.stdout.includes(inJson),
      inText,
    );
  await shows("+ red", "added");
  node.registry.set("colors", "red", 2);
  await shows("~ red", "changed");
  node.registry.delete("colors", "red");
  await shows("- red", "deleted");
  node.registry.set("colors", "blue", 3);
  await shows("+ blue", "blue");
  commands.send("SIGTERM");
  assertEquals([await text.ended, await json.ended], [0, 0]);
  const { id } = node;
  assertEquals(text.output.stdout, `+ red ${id} 1\n~ red ${id} 2\n- red\n+ blue ${id} 3\n`);
  const lines = json.output.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines, [
    { kind: "added", key: "red", value: 1, node: id, port: null },
    { kind: "changed", key: "red", value: 2, node: id, port: null },
    { kind: "deleted", key: "red" },
    { kind: "added", key: "blue", value: 3, node: id, port: null },
  ]);
});

test("tandem node: what makes no sense exits 2, what fails 1, and each says what to do", async () => {
  await using group = new Group();
  const absent = await group.tandem(["send", "a#b", "add"]);
  assertEquals(absent.code, 1);
  assertMatch(absent.stderr, /^tandem: Cannot join .*no program has started one.*\(NOT_FOUND\)\n$/);
  await group.start("here");
  const cases: [string[], number, RegExp][] = [
    [["send"], 2, /which port is meant: give its id, or --family/],
    [["send", "a#b"], 2, /empty message: give a tag/],
    [["send", "--family", "f"], 2, /empty message: give a tag/],
    [["send", "--key", "k", "a"], 2, /--key alone: give its --family/],
    [["send", "a#b", "add", "two"], 2, /Cannot read the value "two" as JSON: .*; give each value/],
    [["send", "#b", "add"], 2, /"#b": give the id of a port/],
    [["send", "a#b", "add"], 1, /Cannot send to a#b: .*no_such_port.*\(PORT_DIED\)\n$/],
    [["call", "a#b"], 2, /empty message: give a method/],
    [["call", "a#b", "then"], 2, /Cannot call "then": no port can have/],
    [["call", "a#b", "get", "--timeout", "soon"], 2, /Cannot use "soon" as a duration/],
    [["call", "--family", "no family", "get"], 2, /as a family of the registry: give a letter/],
    [
      ["call", "--family", "chat", "--timeout", "1ms", "get"],
      1,
      /nothing is registered in family "chat" of group "cli-.*see `tandem node registry chat`/,
    ],
    [["monitor", "a#b", "c#d"], 2, /Cannot monitor "c#d", too/],
    [["registry"], 2, /Expected argument for family/],
    [["registry", "1"], 2, /as a family of the registry/],
    [["ls", "--group", "a/b"], 2, /--group|as group: give a name/],
    [["run"], 2, /service/],
    [["run", "--service", "/no/such/file.ts"], 1, /no such file.*--service \(NOT_FOUND\)\n$/],
    [["run", "--service", serviceFile, "--name", "no name"], 2, /as the name of a node/],
    [["run", "--service", serviceFile, "--name", "a", "--name", "b"], 2, /at most one --name/],
    [["run", "--service", serviceFile, "--service", serviceFile], 2, /two services that are named/],
    [["run", "--service", serviceFile, "--restart", "often"], 2, /always/],
    [["frobnicate"], 2, /frobnicate/],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await group.tandem(args);
    assertEquals([outcome.code, outcome.stdout], [code, ""], `${args}: ${outcome.stderr}`);
    assertMatch(outcome.stderr, /^tandem: |^No command/);
    assertMatch(outcome.stderr, message);
  }
});

const line: LogLine = { time: 0, level: "info", source: "test", message: "" };

test("log desk: one that is too slow ends, and the others get every line", async () => {
  await using group = new Group();
  const [desks, followers] = [await group.start("desks"), await group.start("followers")];
  const desk = new LogDesk(desks);
  desk.add({ ...line, message: "before" });
  desk.add({ ...line, message: "the last one before" });
  const got: string[] = [];
  const slow = followers.port<FollowerPort>({ line: () => new Promise(() => {}) }, {
    maxQueue: 10,
  });
  const quick = followers.port<FollowerPort>({ line: ({ message }) => void got.push(message) });
  for (const { id } of [slow, quick]) followers.send(desk.port.id, "follow", id, 1);
  // What makes no sense does not end the desk.
  const untyped: PortId = desk.port.id;
  followers.send(untyped, "follow", 5, "many");
  followers.send(untyped, "follow", "nobody", 5);
  followers.send(untyped, "frobnicate");
  await followers.ready(desk.port.id);
  const { promise, resolve } = Promise.withResolvers<Reason>();
  followers.monitor(slow.id, resolve);
  for (let number = 1; number <= 100; number++) desk.add({ ...line, message: `${number}` });
  assertEquals((await promise).kind, "overflow");
  await eventually(() => got.length === 101, "all lines");
  assertEquals(got, [
    "the last one before",
    ...Array.from({ length: 100 }, (_, at) => `${at + 1}`),
  ]);
});

test("tandem node logs: says what it has lost, and goes on", async () => {
  await using group = new Group();
  const [desks, reader] = [await group.start("desks"), await group.start("reader")];
  const desk = new LogDesk(desks);
  const { context, output } = contextOf();
  let goOn: () => void = () => {};
  const isStopped = new Promise<void>((resolve) => goOn = resolve);
  const stopping = {
    ...context,
    write: async (text: string | Uint8Array) => {
      await isStopped;
      await context.write(text);
    },
  };
  const flags = { group: group.name, lines: 5, log: "text", logLevel: "info" } as const;
  const follower = logFollower(reader, stopping, flags);
  follower.follow(desk.port.id);
  await reader.ready(desk.port.id);
  for (let number = 1; number <= 10_100; number++) desk.add({ ...line, message: `${number}` });
  await eventually(() => output.stderr.includes("lines were lost"), "it says so");
  goOn();
  await reader.ready(desk.port.id);
  desk.add({ ...line, level: "debug", message: "not so important" });
  desk.add({ ...line, message: "after it" });
  await eventually(() => output.stdout.includes("info test: after it\n"), "it goes on");

  // A desk may send anything.
  let port: PortId | null = null;
  const hostile = desks.port({ follow: (id: string) => void (port = id) });
  follower.follow(hostile.id);
  await eventually(() => port !== null, "the desk is asked");
  for (const wrong of [null, {}, { ...line, message: 1 }, { ...line, level: 1 }]) {
    desks.send(port!, "line", wrong);
  }
  desks.send(port!, "rows", line);
  await eventually(() => {
    desk.add({ ...line, message: "after all" });
    return output.stdout.includes("info test: after all\n");
  }, "it goes on");
  assert(!output.stdout.includes("important"));
});

test("tandem node trace: messages of services, until a signal", async () => {
  await using group = new Group();
  const [service, other] = [await group.start("service"), await group.start("other")];
  const door = openServicePort(service, "service");
  const port = service.port({ get: () => 7 });
  const commands = new CommandSignals();
  const start = (...names: string[]) => {
    const { context, output } = contextOf();
    const ended = run(["node", "trace", "--group", group.name, ...names], context);
    return { ended, output };
  };
  const [all, named, none] = [start(), start("service"), start("another")];
  // What makes no sense changes nothing.
  const untyped: PortId = door.id;
  for (const message of [["trace", 5], ["trace", "x"], ["frobnicate"]]) {
    other.send(untyped, ...message);
  }
  await eventually(async () => {
    assertEquals(await other.at(port.id).get(), 7);
    return [all, named].every(({ output }) => output.stdout.includes('"answer"'));
  }, "both see answers");
  commands.send("SIGINT");
  assertEquals([await all.ended, await named.ended, await none.ended], [0, 0, 0]);
  const at = `service got from ${other.id}: ["call",`;
  for (const { output } of [all, named]) {
    const lines = output.stdout.trimEnd().split("\n");
    // Those of the traces themselves would have no end.
    assert(!output.stdout.includes("traced"), output.stdout);
    assert(lines.some((line) => line.startsWith(at)), output.stdout);
    assertEquals(output.stderr, "");
  }
  assertEquals(none.output, { stdout: "", stderr: "" });
});

test("tandem node run: services, their output, their restarts, and their end", async () => {
  await using group = new Group();
  const runner = group.child(
    "run",
    ...["--service", serviceFile, "--name", "a", "--service", serviceFile, "--name", "b"],
    ...["--trace", "--log-level", "info", "--", "fam:ily"],
  );
  await wrote(runner, /^info run: a has started as a@\w+$/m);
  await wrote(runner, /^info run: b has started as b@\w+$/m);
  const node = await group.start("test");
  const entries = await node.registry.get("fam:ily");
  const portOf = (name: string) =>
    [...entries.values()].find((entry) => entry.node.startsWith(`${name}@`))!.port!;
  const [a, b] = [portOf("a"), portOf("b")];
  node.send(a, "say", "one\rline");
  node.send(b, "complain", "two lines\n<3>with a level");
  await wrote(runner, /^info a: one\\rline$/m);
  await wrote(runner, /^warning b: two lines\nerror b: with a level$/m);

  const logs = group.child("logs", "--lines", "1000", "--log", "json");
  for (let isSaid = false; !isSaid;) {
    const { level, source, message } = await logs.message<LogLine>();
    isSaid = message === "with a level";
    if (isSaid) assertEquals([level, source], ["error", "b"]);
  }
  // The trace has the level debug, which the log of the runner leaves out.
  assert(!runner.stderr.includes("complain"));

  const { promise: ended, resolve } = Promise.withResolvers<Reason>();
  node.monitor(a, resolve);
  const pid = await node.at(a).pid();
  node.send(a, "exit", 3);
  assertEquals((await ended).kind, "transport_error");
  await wrote(runner, /^warning run: a has ended with exit code 3; starts again in 100 ms$/m);
  await eventually(() => runner.stderr.match(/^info run: a has started as /mg)?.length === 2);
  const families = await node.registry.get("fam:ily");
  const again = [...families.values()].find((entry) => entry.node.startsWith("a@"))!;
  assert(again.port !== a);
  const pids = [await node.at(again.port!).pid(), await node.at(b).pid()];
  assert(!pids.includes(pid));
  // More than waits for one that follows. Nobody else notices.
  logs.kill("SIGSTOP");
  node.send(b, "flood", 8_000);
  node.send(b, "say", "is dry again");
  await wrote(runner, /^info b: is dry again$/m);
  logs.kill("SIGCONT");
  await eventually(() => logs.stderr.includes("tandem: lines were lost"), "it says so");
  let isFollowing = false;
  const reading = (async () => {
    while ((await logs.message<LogLine>()).message !== "hello again");
    isFollowing = true;
  })();
  await eventually(() => {
    node.send(b, "say", "hello again");
    return isFollowing;
  }, "it follows again");
  await reading;

  // One that leaves in good order has not failed.
  node.send(b, "leave");
  await wrote(runner, /^info run: b has ended with exit code 0$/m);

  runner.kill("SIGTERM");
  await runner.ended();
  assertMatch(runner.stderr, /^info run: stops\n(?:.*\n)*info a: bye\n/m);
  for (const pid of pids) assert(!isThere(pid), `process ${pid} is there`);
  for (let isOver = false; !isOver;) isOver = (await logs.message<LogLine>()).message === "bye";
  logs.kill("SIGINT");
  await logs.ended();
});

test("tandem node run: the second signal kills; a service without a function fails", async () => {
  await using group = new Group();
  const runner = group.child("run", "--service", serviceFile, "--stop-timeout", "infinity");
  await wrote(runner, /^info run: node_service has started as /m);
  const node = await group.start("test");
  const port = (await node.registry.pick("services"))!;
  const pid = await node.at(port).pid();
  node.send(port, "hang");
  await wrote(runner, /^info node_service: hangs$/m);
  const table = await group.done(["ls", "--timeout", "1ms"], undefined, /do not say who they are/);
  assertMatch(table, new RegExp(`^${node.nodeOf(port)} +\\? +\\? +\\? +\\?$`, "m"));
  runner.kill("SIGINT");
  await wrote(runner, /^info run: stops$/m);
  runner.kill("SIGTERM");
  await runner.ended();
  assert(!isThere(pid));

  const wrong = group.child(
    "run",
    ...["--service", "data:text/javascript,export const start = 1", "--name", "wrong"],
    ...["--restart", "never"],
  );
  const { code } = await wrong.exited;
  assertEquals(code, 1, wrong.stderr);
  assertMatch(wrong.stderr, /^warning wrong: Cannot run data:.*no function as its default export/m);
  assertMatch(wrong.stderr, /^tandem: services have failed: wrong; /m);
});

/** Who may use a NATS server, and what names do to subjects. Each test has a server with a configuration of its own. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { callContext, connect, type NatsOptions, proxy, serve, withOptions } from "../../mod.ts";
import { Limit } from "../../src/limit/main.ts";
import { linksClosed } from "../../src/nats/link.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  folder,
  present,
  sleep,
  test,
} from "../support/harness.ts";
import { hasNats } from "../support/nats.ts";
import { allSaid, natsLimits, sees } from "../support/nats_limit.ts";
import { type NatsServer, startNatsServer, withJetStream } from "../support/nats_server.ts";
import { collect } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const api = {
  echo: (value: string) => value,
  async *letters(word: string) {
    for (const letter of word) yield await Promise.resolve(letter);
  },
  join: async (words: AsyncIterable<string>) => (await collect(words)).join(" "),
};

async function newServer(config: string): Promise<NatsServer> {
  const server = await startNatsServer(config);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  return server;
}

function serving(target: string, nats: NatsOptions = {}): ReturnType<typeof serve> {
  const service = serve(target, api, { nats });
  atEnd(() => service.close({ timeout: 0 }));
  return service;
}

/** A call, a stream in each direction, and all over one login. */
async function assertWorks(server: NatsServer, nats: NatsOptions, login = ""): Promise<void> {
  const target = `nats://${login}${server.address}/open`;
  const service = serving(target, nats);
  await service.ready;
  using remote = connect<typeof api>(target, { timeout: 60_000, nats });
  assertEquals(await remote.echo("hello"), "hello");
  assertEquals(await collect(remote.letters("abc")), ["a", "b", "c"]);
  assertEquals(await remote.join(api.letters("abc")), "a b c");
}

async function assertRefused(server: NatsServer, nats: NatsOptions, login = ""): Promise<void> {
  const target = `nats://${login}${server.address}/open`;
  await assertRejectsCode(serving(target, nats).ready, "PERMISSION", "login");
  using remote = connect<typeof api>(target, { timeout: 60_000, nats });
  await assertRejectsCode(remote.echo("hello"), "PERMISSION", "login");
}

test("NATS login: user and password, in options and in targets", async () => {
  const server = await newServer('authorization { user: "me", password: "p:ss@rd" }');
  await assertWorks(server, { user: "me", pass: "p:ss@rd" });
  await assertWorks(server, {}, "me:p%3Ass%40rd@");
  await assertRefused(server, { user: "me", pass: "wrong" });
  await assertRefused(server, {}, "me:wrong@");
}, { skip });

test("NATS login: a token, in options and in targets", async () => {
  const server = await newServer('authorization { token: "secret" }');
  await assertWorks(server, { token: "secret" });
  await assertWorks(server, {}, "secret@");
  await assertRefused(server, { token: "wrong" });
  await assertRefused(server, {});
}, { skip });

/** What the client has for logins with keys. */
interface KeyClient {
  nkeyAuthenticator(seed: Uint8Array): unknown;
  credsAuthenticator(file: Uint8Array): unknown;
  jwtAuthenticator(jwt: string, seed: Uint8Array): unknown;
  nkeys: Record<"createOperator" | "createAccount" | "createUser", () => KeyPair>;
}

interface KeyPair {
  getPublicKey(): string;
  getSeed(): Uint8Array;
  sign(data: Uint8Array): Uint8Array;
}

async function loadKeys(): Promise<KeyClient> {
  const client: unknown = await import("@nats-io/transport-node");
  return client as KeyClient;
}

test("NATS login: an nkey", async () => {
  const { nkeys, nkeyAuthenticator } = await loadKeys();
  const [known, stranger] = [nkeys.createUser(), nkeys.createUser()];
  const server = await newServer(
    `authorization { users: [{ nkey: ${known.getPublicKey()} }] }`,
  );
  await assertWorks(server, { authenticator: nkeyAuthenticator(known.getSeed()) });
  await assertRefused(server, { authenticator: nkeyAuthenticator(stranger.getSeed()) });
}, { skip });

/** A token as NATS has them, signed by a key. */
function jwtOf(by: KeyPair, of: KeyPair, name: string, nats: object): string {
  const encoder = new TextEncoder();
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const header = encoded({ typ: "JWT", alg: "ed25519-nkey" });
  const claims = { jti: name, iat: 1_600_000_000, iss: by.getPublicKey(), name };
  const body = encoded({ ...claims, sub: of.getPublicKey(), nats: { ...nats, version: 2 } });
  const signature = Buffer.from(by.sign(encoder.encode(`${header}.${body}`)));
  return `${header}.${body}.${signature.toString("base64url")}`;
}

test("NATS login: a JWT, and credentials", async () => {
  const { nkeys, jwtAuthenticator, credsAuthenticator } = await loadKeys();
  const operator = nkeys.createOperator();
  const [account, otherAccount] = [nkeys.createAccount(), nkeys.createAccount()];
  const user = nkeys.createUser();
  const none = -1;
  const few = { subs: none, data: none, payload: none };
  const limits = { ...few, imports: none, exports: none, wildcards: true, conn: none, leaf: none };
  const accountJwt = jwtOf(operator, account, "APP", { type: "account", limits });
  const server = await newServer(`
    operator: ${jwtOf(operator, operator, "OPERATOR", { type: "operator" })}
    resolver: MEMORY
    resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }
  `);
  const userTerms = { type: "user", pub: {}, sub: {}, ...few };
  const jwt = jwtOf(account, user, "web", userTerms);
  await assertWorks(server, { authenticator: jwtAuthenticator(jwt, user.getSeed()) });
  const creds = [
    "-----BEGIN NATS USER JWT-----",
    jwt,
    "------END NATS USER JWT------",
    "",
    "-----BEGIN USER NKEY SEED-----",
    new TextDecoder().decode(user.getSeed()),
    "------END USER NKEY SEED------",
    "",
  ].join("\n");
  const authenticator = credsAuthenticator(new TextEncoder().encode(creds));
  await assertWorks(server, { authenticator });
  const foreign = jwtOf(otherAccount, user, "web", userTerms);
  await assertRefused(server, { authenticator: jwtAuthenticator(foreign, user.getSeed()) });
}, { skip });

/** A certificate for 127.0.0.1, signed by itself. */
function newCertificate(name: string): { cert: string; key: string } {
  const [cert, key] = [join(folder(), `${name}.pem`), join(folder(), `${name}.key`)];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  args.push("-nodes", "-days", "2", "-subj", `/CN=${name}`);
  args.push("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert);
  execFileSync("openssl", args, { stdio: "ignore" });
  return { cert, key };
}

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test(
  "NATS over TLS: a server that is trusted, one that is not, and certificates of clients",
  async () => {
    const server = newCertificate("server");
    const client = newCertificate("client");
    const config = `cert_file: "${server.cert}", key_file: "${server.key}"`;
    const caFile = server.cert;
    const plain = await newServer(`tls { ${config} }`);
    await assertWorks(plain, { tls: { caFile } });
    const first = await newServer(`tls { ${config}, handshake_first: true }`);
    await assertWorks(first, { tls: { caFile, handshakeFirst: true } });
    const strict = await newServer(`tls { ${config}, ca_file: "${client.cert}", verify: true }`);
    await assertWorks(strict, { tls: { caFile, certFile: client.cert, keyFile: client.key } });
    for (const tls of [undefined, { caFile: client.cert }]) {
      const target = `nats://${plain.address}/open`;
      const nats = tls ? { tls } : {};
      await assertRejectsCode(serving(target, nats).ready, "PERMISSION", "certificate");
      using remote = connect<typeof api>(target, { timeout: 60_000, nats });
      await assertRejectsCode(remote.echo("hello"), "PERMISSION", "certificate");
    }
    // Whom a server refuses after the handshake sees at most that the connection ends.
    const target = `nats://${strict.address}/open`;
    using remote = connect<typeof api>(target, { timeout: 1_000, nats: { tls: { caFile } } });
    const code = await remote.echo("hello").then(() => "none", (error) => error.code);
    assert(["DISCONNECTED", "PERMISSION"].includes(code), code);
  },
  { skip: skip ?? (hasOpenssl() ? null : "no openssl") },
);

/** The configuration in the guide. */
function guideConfig(): string {
  const text = readFileSync(new URL("../../docs/guide/nats.md", import.meta.url), "utf8");
  const [config] = /(?<=```text\n)accounts: .*?(?=```)/s.exec(text) ?? [];
  assert(config);
  return config;
}

test(
  "NATS permissions: those in the guide let one serve, the other call, and neither do anything else",
  async () => {
    const { address } = await newServer(guideConfig());
    const targetOf = (user: string, name: string) => `nats://${user}:secret@${address}/${name}`;
    const service = serving(targetOf("worker", "thumbs"));
    await service.ready;
    using remote = connect<typeof api>(targetOf("web", "thumbs"), { timeout: 60_000 });
    assertEquals(await remote.echo("hello"), "hello");
    assertEquals(await collect(remote.letters("abc")), ["a", "b", "c"]);
    assertEquals(await remote.join(api.letters("abc")), "a b c");
    for (
      const [user, name] of [["web", "thumbs"], ["web", "other"], ["worker", "other"]] as const
    ) {
      await assertRejectsCode(serving(targetOf(user, name)).ready, "PERMISSION", "subscribe");
    }
    for (const [user, name] of [["web", "other"], ["worker", "thumbs"]] as const) {
      using other = connect<typeof api>(targetOf(user, name), { timeout: 60_000 });
      await assertRejectsCode(other.echo("hello"), "PERMISSION", "publish");
    }
  },
  { skip },
);

/** What services, clients and contenders need beside an inbox. */
const rights = {
  subscribe: ["tandem.call.thumbs tandem", "tandem.all.thumbs", "tandem.host.>"],
  publish: [
    ...["tandem.call.thumbs", "tandem.all.thumbs", "tandem.queue.thumbs", "tandem.host.>"],
    "$KV.tandem_-limits.>",
    ...["INFO", "CREATE", "UPDATE", "MSG.GET"].map((ask) =>
      `$JS.API.STREAM.${ask}.KV_tandem_-limits`
    ),
    "$JS.API.CONSUMER.CREATE.KV_tandem_-limits",
    ...["INFO", "CREATE", "UPDATE", "MSG.GET", "MSG.DELETE"].map((ask) =>
      `$JS.API.STREAM.${ask}.QUEUE_tandem=thumbs`
    ),
    "$JS.API.CONSUMER.CREATE.QUEUE_tandem=thumbs.services",
    "$JS.API.CONSUMER.MSG.NEXT.QUEUE_tandem=thumbs.services",
    "$JS.ACK.QUEUE_tandem=thumbs.services.>",
  ],
};

test(
  "NATS inboxes: users that may subscribe to their own one only call and take turns",
  async () => {
    const userOf = (name: string, other: string) => {
      const subscribe = [...rights.subscribe, `_INBOX_${name}.>`];
      const publish = [...rights.publish, `_INBOX_${other}.>`];
      return { user: name, password: "secret", permissions: { subscribe, publish } };
    };
    const users = [userOf("worker", "web"), userOf("web", "worker")];
    // Before the server goes.
    afterEnd(allSaid);
    const { address } = await newServer(
      `${withJetStream}\nauthorization { users: ${JSON.stringify(users)} }`,
    );
    const optionsOf = (user: string, inbox = user): NatsOptions => ({
      user,
      pass: "secret",
      inboxPrefix: `_INBOX_${inbox}`,
    });
    const target = `nats://${address}/thumbs`;
    const [worker, web] = [optionsOf("worker"), optionsOf("web")];
    const patient = { timeout: 60_000 };

    // A service without a queue, then one with it.
    for (const maxDeliveries of [1, 2]) {
      const begun = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<void>();
      let code: unknown = null;
      const long = async () => {
        const { signal } = callContext()!;
        signal.addEventListener("abort", () => {
          code = signal.reason.code;
          ended.resolve();
        });
        // So long that the service reports that it works.
        await sleep(700);
        begun.resolve();
        await ended.promise;
      };
      const twice = async (change: (value: number) => Promise<number>) =>
        await change(await change(1));
      const all = { ...api, long, twice, same: (bytes: Uint8Array) => bytes };
      const service = serve(target, all, { nats: worker, maxDeliveries, idempotent: true });
      atEnd(() => service.close({ timeout: 0 }));
      await service.ready;
      using remote = connect<typeof all>(target, { ...patient, nats: web });
      assertEquals(await remote.echo("hello"), "hello");
      assertEquals(await collect(remote.letters("abc")), ["a", "b", "c"]);
      assertEquals(await remote.join(api.letters("abc")), "a b c");
      assertEquals(await remote.twice(proxy((value: number) => Promise.resolve(value + 1))), 3);
      assertEquals((await remote.same(new Uint8Array(1_500_000))).byteLength, 1_500_000);
      const cancel = new AbortController();
      const call = doomed(withOptions(remote, { signal: cancel.signal }).long());
      await begun.promise;
      cancel.abort(new Error("no longer"));
      // No call keeps the process alive meanwhile.
      await eventually(() => code === "CANCELLED");
      await assertRejects(() => call, Error, "no longer");
      await service.close();
    }

    const limits = [worker, web].map((nats) => natsLimits(1, { nats }, target)[0]!);
    const lock = present(await limits[0]!.acquire());
    const waits = limits[1]!.acquire();
    await sees(limits[0]!, 1, 1);
    lock.release();
    assert(present(await waits).token > lock.token);

    for (const inboxPrefix of ["", "a b", "a.*", ">", "a..b", ".a", "$a", "a\n", 5, null]) {
      const nats = { ...web, inboxPrefix };
      for (
        const open of [
          () => serve(target, api, { nats }),
          () => new Limit(target, { nats }),
          () => connect<typeof api>(target, { nats }),
        ]
      ) assertThrows(open, TypeError, "as nats.inboxPrefix");
    }

    // Neither may listen where the other one gets its answers.
    for (const nats of [optionsOf("web", "worker"), { user: "web", pass: "secret" }]) {
      using remote = connect<typeof api>(target, { ...patient, nats });
      await assertRejectsCode(remote.echo("hello"), "PERMISSION", "subscribe");
    }
  },
  { skip },
);

test("NATS names: no name of a service or of a method acts as a subject", async () => {
  const { address } = await newServer("");
  const names = ["a", "a.b", "a.*", "a.>", "*", ">", "a b", "a:b", "a=2Eb", "ä", "😀", "a/b", "\n"];
  names.push("$SRV", "all.a", "x".repeat(128), "\u0000");
  const longName = "m".repeat(1_000);
  const ends = names.map((name) => {
    const target = `nats://${address}/${name}`;
    const own = Object.fromEntries(
      [...names, longName, "", "Tandem-Method"].map((method) => [method, () => [name, method]]),
    );
    const service = serve(target, own);
    atEnd(() => service.close({ timeout: 0 }));
    const remote = connect<typeof own>(target, { timeout: 60_000 });
    atEnd(() => Promise.resolve(remote[Symbol.dispose]()));
    return { service, remote, own };
  });
  await Promise.all(ends.map(({ service }) => service.ready));
  for (const [index, { remote, own }] of ends.entries()) {
    for (const method of Object.keys(own)) {
      assertEquals(await remote[method]!(), [names[index]!, method]);
    }
  }
  for (const name of ["", "x".repeat(129), "ä".repeat(65), "x".repeat(1_000)]) {
    const target = `nats://${address}/${name}`;
    assertThrows(() => serve(target, api), TypeError);
    using remote = connect<typeof api>(target);
    await assertRejects(() => remote.echo("hello"), TypeError);
  }
}, { skip });

/**
 * The limits behind the names of locks. The name of a lock may be any string, the name of a limit may not:
 * it is a part of a file's name.
 *
 * A name that a limit can have stays as it is, so `locks.request("nightly", …)` and `new Limit("nightly")` use
 * the same limit. Others are encoded: the prefix `lock__`, then letters, digits, `.` and `-` as they are, and
 * `_hex_` for each other UTF-16 unit. So `"a b"` is `lock__a_20_b`. Where that is too long, it is cut, and `_` and
 * a hash of the name follow: 128 bits of SHA-256, so that no two names share a limit.
 *
 * @module
 */

const prefix = "lock__";
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** As native/platform/target.zig takes it. */
const lengthMax = 200;
const hashDigits = 32;

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:crypto"): {
      createHash(algorithm: "sha256"): {
        update(data: string, encoding: "utf16le"): { digest(encoding: "hex"): string };
      };
    };
  };
}

/** The name of the limit for a lock. */
export function targetOf(name: string): string {
  if (plainName.test(name) && !name.startsWith(prefix)) return name;
  const { text, isWhole } = escape(name, lengthMax - prefix.length);
  if (isWhole) return prefix + text;
  const start = escape(name, lengthMax - prefix.length - 1 - hashDigits).text;
  return `${prefix}${start}_${hashOf(name)}`;
}

/**
 * The name of the lock for a limit. It is the limit's own name if no lock has this limit, or if the file's name has only
 * a hash of the lock's name.
 */
export function nameOf(target: string): string {
  if (!target.startsWith(prefix)) return target;
  const name = target.slice(prefix.length).replaceAll(
    /_([0-9a-f]{1,4})_/g,
    (_, unit: string) => String.fromCharCode(parseInt(unit, 16)),
  );
  return targetOf(name) === target ? name : target;
}

/** As many units of a name as have room, escaped. */
function escape(name: string, room: number): { readonly text: string; readonly isWhole: boolean } {
  let text = "";
  for (let at = 0; at < name.length; at++) {
    const unit = name[at]!;
    const escaped = /[A-Za-z0-9.-]/.test(unit) ? unit : `_${name.charCodeAt(at).toString(16)}_`;
    if (text.length + escaped.length > room) return { text, isWhole: false };
    text += escaped;
  }
  return { text, isWhole: true };
}

/** 128 bits of a hash, in hexadecimal digits. */
export function hashOf(name: string): string {
  // Loaded when it is needed: that takes milliseconds, and such names are rare.
  const { process } = globalThis as unknown as Global;
  const { createHash } = process.getBuiltinModule("node:crypto");
  return createHash("sha256").update(name, "utf16le").digest("hex").slice(0, hashDigits);
}

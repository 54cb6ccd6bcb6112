/**
 * Reads the output of `strace -f -y` for a process that works in a folder that others can write to:
 * every name there has to be looked up once, in a folder that is open, without following links.
 *
 * @module
 */

/** A system call with a path, as strace writes it. */
const call = /\b(\w+)\((.*)\)\s+= (-?\d+|\?)/;

/** Calls that take a folder's descriptor and a name, and never follow a link at the end of it. */
const byName = new Set(["mkdirat", "mknodat", "renameat2", "unlinkat"]);

/** Whether a line of the trace gives a file a name, or takes one away. */
export function makesName(line: string): boolean {
  const [, name, args, result] = call.exec(line) ?? [];
  if (name === undefined || result!.startsWith("-")) return false;
  return /^(mkdir|mknod|unlink|rename|link|symlink|rmdir|creat)/.test(name) ||
    /\bO_CREAT\b/.test(args!);
}

/** The fault of a line of the trace; null: none. */
export function fault(line: string, shared: string): string | null {
  const found = call.exec(line);
  if (!found) return null;
  const [, name, args] = found as unknown as [string, string, string];
  // The program's own arguments.
  if (name === "execve") return null;
  const inside = args.includes(`<${shared}`) || args.includes(`"${shared}`);
  if (!inside) return null;
  const paths = [...args.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, path]) => path!);
  const whole = paths.find((path) => path.startsWith(shared));
  if (whole !== undefined) {
    // The user names the folder itself, and the library opens it by that name.
    const isFolder = whole === shared && name === "openat" && args.includes("O_PATH");
    return isFolder ? null : `names ${whole} by its path`;
  }
  if (paths.some((path) => path.includes("/") && !path.startsWith("/proc/self/fd/"))) {
    return `goes through several folders: ${paths.join(", ")}`;
  }
  switch (name) {
    case "openat": {
      const isSelf = paths[0] === "." || paths[0] === "..";
      const isOwn = paths[0]?.startsWith("/proc/self/fd/");
      return isSelf || isOwn || args.includes("O_NOFOLLOW") ? null : "follows links";
    }
    case "statx":
      return args.includes("AT_SYMLINK_NOFOLLOW") ? null : "follows links";
    case "linkat":
    case "fchmodat":
    case "connect":
    case "bind":
      return paths[0]?.startsWith("/proc/self/fd/") ? null : "looks a name up once more";
    case "fchownat":
      return args.includes("AT_EMPTY_PATH") ? null : "looks a name up once more";
  }
  if (byName.has(name)) return null;
  // Calls that take only a descriptor.
  return paths.length === 0 ? null : `is a call that is not known: ${name}`;
}

# Source this file: it puts the tools that scripts/setup installed first on PATH.
PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.tools/bin:$PATH"
export PATH
# The tools have fixed versions: looking for newer ones is useless.
export DENO_NO_UPDATE_CHECK=1
# Zig compiles its build program at its first use on a machine. With optimization that takes more than three
# minutes, without it 20 seconds, and the program is fast enough.
export ZIG_DEBUG_CMD=1
# Zig and Deno have their caches there; a service manager may leave it out.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || true
  export HOME=${HOME:-/tmp}
fi

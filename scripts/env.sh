# To be sourced: puts the tools that scripts/setup installed first on PATH.
PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.tools/bin:$PATH"
export PATH
# The tools are of fixed versions; whether there are newer ones is nobody's business here.
export DENO_NO_UPDATE_CHECK=1
# Zig compiles its build program when it is first used on a machine: with optimization that takes three
# minutes and more, without it 20 seconds, and the program is quick enough.
export ZIG_DEBUG_CMD=1

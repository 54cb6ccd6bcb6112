//! Mappings of memory.

const root = @import("root");
const kernel = @import("kernel.zig");
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;
const arg = kernel.arg;

/// The root file of a test build may declare `Mappings`, to put guards around mappings.
const own_mappings = @hasDecl(root, "Mappings");

pub fn map_shared(fd: i32, length: u64) Result {
    if (own_mappings) return root.Mappings.map_shared(fd, length);
    return map(length, 0x01, fd);
}

/// Zeroed private memory.
pub fn map_private(length: u64) Result {
    return map(length, 0x02 | 0x20 | 0x4000, -1);
}

fn map(length: u64, flags: u32, fd: i32) Result {
    const read_write = 3;
    return wrap(linux.syscall6(.mmap, 0, length, read_write, flags, arg(fd), 0));
}

/// Puts zeroed private memory in place of a mapping that other code may still hold views of.
pub fn map_over(address: usize, length: u64) Result {
    const private_anonymous_fixed_noreserve = 0x02 | 0x20 | 0x10 | 0x4000;
    return wrap(linux.syscall6(.mmap, address, length, 3, private_anonymous_fixed_noreserve, arg(-1), 0));
}

pub fn unmap(address: usize, length: u64) void {
    if (own_mappings) return root.Mappings.unmap(address, length);
    _ = linux.syscall2(.munmap, address, length);
}

//! File systems that write changed blocks to new places. There, allocated space may still run out when it is
//! written again, and the kernel answers an access through a mapping with SIGBUS. So copying on write is
//! disabled for a channel's file, and the file is refused if that is impossible.

const abi = @import("../abi.zig");
const files = @import("sys/files.zig");
const Control = abi.Control;
const Error = abi.Error;

const Magic = struct {
    const btrfs = 0x9123683e;
    const xfs = 0x58465342;
    const zfs = 0x2fc12fc1;
    const bcachefs = 0xca451a4e;
    const nilfs = 0x3434;
};

/// FS_IOC_GETFLAGS, FS_IOC_SETFLAGS. The kernel takes an int, although their numbers say otherwise.
const get_flags = 0x80086601;
const set_flags = 0x40086602;
const flag_no_copy_on_write: u32 = 0x00800000;

/// For a file that is still empty.
pub fn prepare(fd: i32, control: *Control) Error!void {
    switch (files.file_system_type(fd)) {
        Magic.btrfs => set_no_copy_on_write(fd),
        else => {},
    }
    try check(fd, control);
}

/// `Unsupported`: writing to the file may take new space.
pub fn check(fd: i32, control: *Control) Error!void {
    const kind = files.file_system_type(fd);
    switch (kind) {
        // Blocks that are shared with a snapshot or a copy are copied once more in spite of the flag.
        Magic.btrfs => if (has_no_copy_on_write(fd) and try own_blocks(fd, control)) return,
        Magic.xfs => if (try own_blocks(fd, control)) return,
        Magic.zfs, Magic.bcachefs, Magic.nilfs => {},
        else => return,
    }
    control.compare(.copy_on_write, kind, 0);
    return error.Unsupported;
}

fn set_no_copy_on_write(fd: i32) void {
    var flags: u32 = 0;
    if (!files.ioctl(fd, get_flags, @intFromPtr(&flags)).ok()) return;
    flags |= flag_no_copy_on_write;
    _ = files.ioctl(fd, set_flags, @intFromPtr(&flags));
}

fn has_no_copy_on_write(fd: i32) bool {
    var flags: u32 = 0;
    return files.ioctl(fd, get_flags, @intFromPtr(&flags)).ok() and flags & flag_no_copy_on_write != 0;
}

const Extent = extern struct {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [2]u64,
    flags: u32,
    reserved_more: [3]u32,

    const last = 0x1;
    const shared = 0x2000;
};

const extents_at_once = 32;

const ExtentMap = extern struct {
    start: u64,
    length: u64,
    flags: u32 = 0,
    mapped: u32 = 0,
    count: u32 = extents_at_once,
    reserved: u32 = 0,
    extents: [extents_at_once]Extent = undefined,
};

/// FS_IOC_FIEMAP
const map_extents = 0xc020660b;

/// Unshares blocks that the file shares with a copy, if the file system can. False: it cannot.
fn own_blocks(fd: i32, control: *Control) Error!bool {
    // Other processes can give a file any number of extents; a channel's file has few.
    const rounds_max = 100_000;
    var start: u64 = 0;
    for (0..rounds_max) |_| {
        var map: ExtentMap = .{ .start = start, .length = @as(u64, 1) << 62 };
        if (!files.ioctl(fd, map_extents, @intFromPtr(&map)).ok()) return true;
        if (map.mapped == 0) return true;
        for (map.extents[0..@min(map.mapped, extents_at_once)]) |extent| {
            if (extent.flags & Extent.shared != 0) {
                const owned = files.unshare(fd, extent.logical, extent.length);
                if (!owned.ok()) {
                    if (owned.errno != .NOSPC and owned.errno != .DQUOT) return false;
                    control.fail(.allocate, @backingInt(owned.errno));
                    return error.NoSpace;
                }
            }
            if (extent.flags & Extent.last != 0) return true;
            start = extent.logical + extent.length;
        }
    }
    return false;
}

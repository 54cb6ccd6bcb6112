//! Passing a participant's life on to the program that replaces this one: the participant then lives as long
//! as that program, with or without the children that the program starts.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const files = @import("../platform/sys/files.zig");
const locks = @import("../platform/sys/locks.zig");
const process = @import("../platform/sys/process.zig");
const program = @import("../platform/program.zig");
const Error = abi.Error;
const Control = abi.Control;
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Wait = @import("../protocol/wait.zig").WaitType(Shared);

pub const Heirs = enum {
    /// The participant lives until the program and all that inherited from it have ended.
    program_and_children,
    /// Until the program has ended.
    program,
};

/// From this kernel on, a process with several threads keeps its locks when it executes a program.
const kept_process_locks_version = 5_011;

/// Returns only if this process goes on: then nothing has changed.
pub fn replace(handle: *Handle, next: *const program.Program, heirs: Heirs, control: *Control) Error!program.Failure {
    const entry = handle.entry();
    // The new program answers no ring, so nobody shall ring it.
    Wait.awake(handle);
    const waker = Shared.load(u32, &entry.waker, .monotonic);
    Shared.store(u32, &entry.waker, layout.waker_none, .monotonic);
    defer Shared.store(u32, &entry.waker, waker, .release);
    const offset = layout.lock_offset(handle.index, handle.epoch);
    put_out_of_the_way(&handle.fd);
    if (handle.bells.life >= 0) put_out_of_the_way(&handle.bells.life);
    switch (heirs) {
        // Waiters watch the pipe, so they learn of the end.
        .program_and_children => return program.replace(next, &.{ handle.fd, handle.bells.life }),
        .program => {
            // Children would keep the pipe open, so it ends here. Waiters then find the end in slices of time.
            try prepare_process_lock(handle, control);
            if (!locks.lock_for_process(handle.fd, offset).ok()) return error.System;
            Shared.unlock_byte(handle.fd, offset);
            defer {
                _ = Shared.lock_byte(handle.fd, offset);
                locks.unlock_for_process(handle.fd, offset);
            }
            return program.replace(next, &.{handle.fd});
        },
    }
}

/// Shell scripts choose descriptors by low numbers, and so would close this one by opening another.
fn put_out_of_the_way(fd: *i32) void {
    const number_min = 800;
    if (fd.* >= number_min) return;
    const copy = files.duplicate_from(fd.*, number_min);
    // The process may have no such number.
    if (!copy.ok()) return;
    files.close(fd.*);
    fd.* = copy.fd();
}

/// A process loses its locks on a file with the first descriptor of the file that it closes, and executing a
/// program closes all that are marked so.
fn prepare_process_lock(handle: *Handle, control: *Control) Error!void {
    const version = process.kernel_version();
    if (version != 0 and version < kept_process_locks_version) {
        control.compare(.kernel, version, kept_process_locks_version);
        return error.Unsupported;
    }
    if (handle.public_fd >= 0) files.close(handle.public_fd);
    handle.public_fd = -1;
    const own = files.stat(handle.fd, "");
    const folder = files.open("/proc/self/fd", files.o_rdonly | files.o_directory | files.o_cloexec, 0);
    if (own != .info or !folder.ok()) return error.System;
    defer files.close(folder.fd());
    var reader: files.DirectoryReader = .{ .fd = folder.fd() };
    while (reader.next()) |name| {
        const fd = std.fmt.parseInt(i32, name, 10) catch continue;
        if (fd == handle.fd) continue;
        const file = files.stat(fd, "");
        if (file != .info) continue;
        if (file.info.inode == own.info.inode and file.info.device == own.info.device) return error.Busy;
    }
}

//! The board of a participant as a file beside its bells: written once under another name, and renamed. So a reader that
//! has it open reads one board from its beginning to its end.

const std = @import("std");
const abi = @import("../../abi.zig");
const folders = @import("folder.zig");
const names = @import("names.zig");
const files = @import("../sys/files.zig");
const kernel = @import("../sys/kernel.zig");
const Bells = @import("bells.zig").Bells;
const Control = abi.Control;
const Error = abi.Error;

/// Every user may read it.
const mode = 0o444;

pub fn write(bells: *Bells, bytes: []const u8, control: *Control) Error!void {
    if (bytes.len > abi.board_bytes_max) return error.TooLarge;
    // Sweepers find the dead by their lives.
    if (bells.life < 0 or bells.own < 0) return refuse(control);
    var draft: names.Name = undefined;
    var name: names.Name = undefined;
    const draft_name = bells.own_file_name(&draft, names.board_draft_letter);
    // An earlier attempt may have failed on the way.
    _ = files.unlinkat(bells.own, draft_name, 0);
    const flags = files.o_wronly | files.o_creat | files.o_excl | files.o_nofollow | files.o_cloexec;
    const made = files.openat(bells.own, draft_name, flags, 0o600);
    if (!made.ok()) return if (is_full(made.errno)) error.NoSpace else refuse(control);
    bells.has_files = true;
    errdefer _ = files.unlinkat(bells.own, draft_name, 0);
    {
        defer files.close(made.fd());
        try write_all(made.fd(), bytes, control);
        _ = files.fchmod(made.fd(), mode);
    }
    if (!files.rename_within(bells.own, draft_name, bells.own_file_name(&name, names.board_letter)).ok()) return refuse(control);
}

fn refuse(control: *Control) Error {
    control.fail(.no_bells, 0);
    return error.Permission;
}

fn is_full(errno: kernel.Errno) bool {
    return errno == .NOSPC or errno == .DQUOT;
}

fn write_all(fd: i32, bytes: []const u8, control: *Control) Error!void {
    var rest = bytes;
    while (rest.len > 0) {
        const result = files.write(fd, rest);
        if (!result.ok()) {
            if (result.errno == .INTR) continue;
            if (is_full(result.errno)) return error.NoSpace;
            control.fail(.open_file, @backingInt(result.errno));
            return error.System;
        }
        // A file takes at least one byte, or fails.
        if (result.value == 0) return error.NoSpace;
        rest = rest[result.value..];
    }
}

/// The length of a participant's board, whose bytes are in `buffer` as far as there is room. Others may have put anything there.
pub fn read(bells: *const Bells, of: names.Identity, buffer: []u8) Error!u32 {
    const folder = bells.other_folder(of.uid) orelse return error.NotFound;
    defer bells.close_other(folder);
    const owner = files.stat(folder, "");
    if (owner != .info or owner.info.uid != of.uid) return error.NotFound;
    var name: names.Name = undefined;
    // Not blocked by a FIFO.
    const flags = files.o_rdonly | files.o_nonblock | files.o_nofollow | files.o_cloexec;
    const opened = files.openat(folder, bells.file_name(&name, names.board_letter, of), flags, 0);
    if (!opened.ok()) return error.NotFound;
    defer files.close(opened.fd());
    const file = files.stat(opened.fd(), "");
    if (file != .info or file.info.kind != .file or file.info.uid != of.uid) return error.Corrupt;
    if (file.info.size > abi.board_bytes_max) return error.Corrupt;
    const length: u32 = @intCast(file.info.size);
    const wanted: u32 = @intCast(@min(length, buffer.len));
    var done: u32 = 0;
    while (done < wanted) {
        const result = files.pread(opened.fd(), buffer[done..wanted], done);
        if (result == .errno and result.errno == .INTR) continue;
        // Somebody has cut it short.
        if (!result.ok() or result.value == 0) return error.Corrupt;
        done += @intCast(result.value);
    }
    return length;
}

//! The names of the files in the default folder.

const std = @import("std");
const abi = @import("../abi.zig");
const files = @import("sys/files.zig");
const target = @import("target.zig");
const Control = abi.Control;
const Error = abi.Error;

/// Writes the targets whose files end in `suffix`, each with a NUL behind it, as far as there is room. Returns
/// how many bytes all of them need. Without a folder there are none.
pub fn list(suffix: target.Suffix, out: []u8, control: *Control) Error!usize {
    const path = try target.default_folder(control);
    const folder = target.open_own_folder(&path, false, control) catch |err|
        return if (err == error.NotFound) 0 else err;
    defer files.close(folder);
    const opened = files.openat(folder, ".", files.o_rdonly | files.o_directory | files.o_cloexec, 0);
    if (!opened.ok()) {
        control.fail(.open_file, @backingInt(opened.errno));
        return target.errno_error(opened.errno);
    }
    defer files.close(opened.fd());
    var reader: files.DirectoryReader = .{ .fd = opened.fd() };
    var length: usize = 0;
    while (reader.next()) |name| {
        if (!std.mem.endsWith(u8, name, suffix.text())) continue;
        const found = name[0 .. name.len - suffix.text().len];
        if (!target.valid_name(found)) continue;
        if (length + found.len < out.len) {
            @memcpy(out[length..][0..found.len], found);
            out[length + found.len] = 0;
        }
        length += found.len + 1;
    }
    return length;
}

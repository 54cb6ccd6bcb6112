//! Removing files beside a channel: of dead participants, of a removed channel, of a private channel. It goes
//! two levels deep, whatever others have put there.

const std = @import("std");
const file = @import("file.zig");
const folders = @import("folder.zig");
const names = @import("names.zig");
const files = @import("../sys/files.zig");
const process = @import("../sys/process.zig");

const Selection = union(enum) {
    all,
    dead,
    dead_but_of: u64,
    /// The files of dead participants, and everything of this channel.
    dead_and_all_of: u64,
};

/// Removes everything of a removed channel, the files of dead participants, and the folders that are empty
/// then. `channel_id` null: only the files of the dead. Ignores a folder that does not belong to `owner`, the
/// owner of the channel.
pub noinline fn remove_folder(parent: i32, channel_name: []const u8, owner: u32, channel_id: ?u64) void {
    var buffer: names.FolderName = undefined;
    const name = names.folder_name_of(channel_name, &buffer) catch return;
    remove_folder_named(parent, name, owner, if (channel_id) |id| .{ .dead_and_all_of = id } else .dead);
}

/// Removes the files of dead participants of a channel without a name.
pub fn remove_anonymous(parent: i32, name: [*:0]const u8) void {
    remove_folder_named(parent, name, process.user(), .dead);
}

/// Goes two levels deep, whatever others have put there: files of users in folders of users.
noinline fn remove_folder_named(parent: i32, name: [*:0]const u8, owner: u32, selection: Selection) void {
    const top = folders.open_folder(parent, name);
    if (!top.ok()) return;
    defer files.close(top.fd());
    const info = files.stat(top.fd(), "");
    if (info != .info or info.info.uid != owner) return;
    var reader = folders.Reader.open(top.fd()) orelse return;
    defer reader.close();
    while (reader.next('u')) |user| {
        const folder = folders.open_folder(top.fd(), user);
        if (!folder.ok()) continue;
        defer files.close(folder.fd());
        remove_from(folder.fd(), selection);
        _ = files.unlinkat(top.fd(), user, files.at_removedir);
    }
    _ = files.unlinkat(parent, name, files.at_removedir);
}

pub fn remove_from(folder: i32, selection: Selection) void {
    if (selection != .all) remove_participants(folder, selection);
    var reader = folders.Reader.open(folder) orelse return;
    defer reader.close();
    while (reader.next(null)) |name| {
        const text = std.mem.span(name);
        if (selection == .all) {
            _ = files.unlinkat(folder, name, 0);
        } else if (text[0] == names.private_letter and std.mem.endsWith(u8, text, names.suffix)) {
            remove_orphan(folder, text);
        } else if (selection == .dead_and_all_of and names.is_of(text, selection.dead_and_all_of)) {
            // The private channel of a participant that could not announce its life.
            remove_files(folder, &reader.name);
        }
    }
}

/// Removes everything of the selected participants; their lives show which ones exist.
fn remove_participants(folder: i32, selection: Selection) void {
    var reader = folders.Reader.open(folder) orelse return;
    defer reader.close();
    while (reader.next(null)) |name| {
        const text = std.mem.span(name);
        const is_unborn = text[0] == names.unborn_letter;
        if (text[0] != names.life_letter and !is_unborn) continue;
        const goes = switch (selection) {
            .all => true,
            .dead => !file.is_alive(folder, name),
            .dead_but_of => |id| !names.is_of(text, id) and !file.is_alive(folder, name),
            .dead_and_all_of => |id| names.is_of(text, id) or !file.is_alive(folder, name),
        };
        if (!goes) continue;
        // If its participant lives, that makes another.
        if (is_unborn) _ = files.unlinkat(folder, name, 0) else remove_files(folder, &reader.name);
    }
}

/// Removes the files of one participant; `buffer` contains the name of one of them.
pub fn remove_files(folder: i32, buffer: *names.Name) void {
    const name: [*:0]const u8 = @ptrCast(buffer);
    for (names.letters_before_life) |letter| {
        buffer[0] = letter;
        _ = files.unlinkat(folder, name, 0);
    }
    buffer[0] = names.private_letter;
    remove_private(folder, name);
    buffer[0] = names.life_letter;
    _ = files.unlinkat(folder, name, 0);
}

/// Removes a private channel and its bells. It has no private channels of its own.
pub fn remove_private(folder: i32, name: [*:0]const u8) void {
    const owner = files.stat(folder, "");
    if (owner != .info) return;
    _ = files.unlinkat(folder, name, 0);
    var buffer: [names.name_bytes_max + names.suffix.len]u8 = undefined;
    const bells = std.fmt.bufPrintSentinel(&buffer, "{s}" ++ names.suffix, .{std.mem.span(name)}, 0) catch return;
    remove_folder_named(folder, bells, owner.info.uid, .all);
}

/// Removes the bells of a private channel whose file is gone.
fn remove_orphan(folder: i32, name: []const u8) void {
    var buffer: names.Name = undefined;
    const channel = name[0 .. name.len - names.suffix.len];
    @memcpy(buffer[0..channel.len], channel);
    buffer[channel.len] = 0;
    const found = files.stat(folder, @ptrCast(&buffer));
    if (found == .errno and found.errno == .NOENT) remove_private(folder, @ptrCast(&buffer));
}

//! Names of the files beside a channel.

const std = @import("std");

/// The participant that a file belongs to.
pub const Identity = struct { uid: u32, index: u32, epoch: u64 };

pub const bell_letter = 'b';
pub const life_letter = 'l';
/// The life's FIFO before its participant has it open.
pub const unborn_letter = 's';
pub const notify_letter = 'n';
pub const private_letter = 'p';
pub const board_letter = 'd';
/// A board before it is complete.
pub const board_draft_letter = 'e';
/// The kinds of files of one participant, without its private channel and its life. Sweepers find the dead by their
/// lives, so these are removed last: a process may be killed while it removes files.
pub const letters_before_life = [_]u8{ bell_letter, notify_letter, unborn_letter, board_letter, board_draft_letter };

/// Follows the name of the channel in the name of the folder.
pub const suffix = ".bells";

/// The longest name of a folder or file here.
pub const name_bytes_max = 72;
pub const Name = [name_bytes_max]u8;

/// As long as a file system allows.
pub const FolderName = [255:0]u8;

pub fn folder_name_of(channel_name: []const u8, buffer: *FolderName) error{NoSpaceLeft}![*:0]const u8 {
    return (try std.fmt.bufPrintSentinel(buffer, "{s}" ++ suffix, .{channel_name}, 0)).ptr;
}

pub fn user_folder_name(buffer: *Name, uid: u32) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "u{d}", .{uid}, 0) catch unreachable).ptr;
}

/// The name of the folder for a channel without a name.
pub fn anonymous_name(buffer: *Name, channel_id: u64) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "{x}" ++ suffix, .{channel_id}, 0) catch unreachable).ptr;
}

/// Whether a file belongs to a participant of that channel.
pub fn is_of(name: []const u8, channel_id: u64) bool {
    var buffer: Name = undefined;
    const ending = std.fmt.bufPrint(&buffer, "-{x}", .{channel_id}) catch unreachable;
    return std.mem.endsWith(u8, name, ending);
}

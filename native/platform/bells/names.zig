//! Names of the files beside a channel.

const std = @import("std");

/// Which participant a file belongs to.
pub const Identity = struct { uid: u32, index: u32, epoch: u64 };

/// Of the files of one participant.
pub const letters = "bln";
pub const private_letter = 'p';

/// Of the folder, after the name of the channel.
pub const suffix = ".bells";

/// Longest name of a folder or file here.
pub const name_bytes_max = 72;
pub const Name = [name_bytes_max]u8;

/// The longest that a file system takes.
pub const FolderName = [255:0]u8;

pub fn folder_name_of(channel_name: []const u8, buffer: *FolderName) error{NoSpaceLeft}![*:0]const u8 {
    return (try std.fmt.bufPrintSentinel(buffer, "{s}" ++ suffix, .{channel_name}, 0)).ptr;
}

pub fn user_folder_name(buffer: *Name, uid: u32) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "u{d}", .{uid}, 0) catch unreachable).ptr;
}

/// Of the folder for a channel without a name.
pub fn anonymous_name(buffer: *Name, channel_id: u64) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "{x}" ++ suffix, .{channel_id}, 0) catch unreachable).ptr;
}

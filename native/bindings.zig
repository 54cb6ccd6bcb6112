//! Prints src/ffi/layout.ts, so that numbers of both languages are written once.

const std = @import("std");
const abi = @import("abi.zig");
const layout = @import("memory/layout.zig");
const words = @import("memory/words.zig");
const worker = @import("worker/record.zig");
const zmq = @import("zmq/batch.zig");

const constants = .{
    .{ "abiVersion", abi.abi_version, "Compared with the library's own when it is loaded." },
    .{ "layoutVersion", layout.layout_version, "Of the shared memory." },
    .{ "slotsMax", layout.slots_max, "" },
    .{ "payloadBytesMax", layout.payload_bytes_max, "" },
    .{ "noteBytesMax", layout.note_bytes_max, "" },
    .{ "deliveriesMax", layout.deliveries_max, "" },
    .{ "participantsMax", layout.participants_max, "" },
    .{ "errorBytesMin", layout.error_bytes_min, "" },
    .{ "pathBytesMax", @import("platform/target.zig").path_bytes_max, "" },
    .{ "slotBytes", @sizeOf(layout.Slot), "" },
    .{ "requestInlineOffset", @offsetOf(layout.Slot, "request_inline"), "" },
    .{ "requestInlineBytes", layout.inline_request_bytes, "" },
    .{ "responseInlineOffset", @offsetOf(layout.Slot, "response_inline"), "" },
    .{ "responseInlineBytes", layout.inline_response_bytes, "" },
    .{ "controlBytes", @sizeOf(abi.Control), "" },
    .{ "attachedMax", abi.Control.attached_max, "" },
    .{ "optionsCount", std.meta.fieldNames(abi.Options).len, "" },
    .{ "recordFields", std.meta.fieldNames(abi.RecordField).len, "" },
    .{ "entryFields", std.meta.fieldNames(abi.EntryField).len, "" },
    .{ "limitFields", std.meta.fieldNames(abi.LimitField).len, "" },
    .{ "batchCallBytes", @sizeOf(abi.BatchCall), "" },
    .{ "batchCallsMax", abi.batch_calls_max, "" },
    .{ "zmqBatchBytes", @sizeOf(zmq.Batch), "" },
    .{ "zmqBatchMax", zmq.messages_max, "" },
    .{ "zmqIsPlaced", zmq.is_placed, "" },
    .{ "zmqRecordBytes", @sizeOf(zmq.Record), "" },
    .{ "limitPlacesMax", @import("memory/limit_words.zig").places_max, "" },
};

const flags = .{
    "open_role_server",   "open_kind_int",         "open_or_create",         "open_create_new",
    "open_anonymous",     "open_from_fd",          "open_private",           "send_text",
    "open_quiet",         "board_bytes_max",       "send_one_way",           "send_block",
    "send_watched",       "send_deliveries_shift", "request_text",           "request_one_way",
    "receive_first",      "receive_next",          "receive_stood_back",     "cancel_keep_answer",
    "cancel_release",     "cancel_timed_out",      "cancel_draft",           "arm_requests",
    "arm_room",           "armed",                 "arm_work",               "arm_newcomer",
    "armed_large",        "armed_unsure",          "linger_nothing",         "linger_work",
    "linger_crowded",     "bell_fifo",             "bell_datagram",          "watch_complete",
    "watch_incomplete",   "guard_none",            "exec_alone",             "watch_drop",
    "open_kind_limit",    "limit_shared",          "limit_steal",            "limit_try",
    "limit_no_standby",   "limit_oldest",          "limit_newest",           "limit_waits",
    "limit_refused_full", "limit_not_now",         "limit_refused_replaced", "limit_lost",
    "limit_idle",         "send_forwarded",        "request_forwarded",      "send_all_nudge",
};

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var file = std.Io.File.stdout().writer(init.io, &buffer);
    const out = &file.interface;
    try out.writeAll(
        \\// Made by `zig build bindings` from native/abi.zig and native/memory/layout.zig. Do not edit.
        \\
        \\
    );
    inline for (constants) |constant| {
        if (constant[2].len > 0) try out.print("/** {s} */\n", .{constant[2]});
        try out.print("export const {s} = {d};\n", .{ constant[0], constant[1] });
    }
    inline for (flags) |name| {
        try out.writeAll("export const ");
        try camel(out, name);
        try out.print(" = {d};\n", .{@field(abi, name)});
    }
    try print_enum(out, abi.Status, "Status", "Results below zero are the negative of one of these.");
    try print_enum(out, abi.Detail, "Detail", "What an error is about.");
    try print_enum(out, words.AnswerKind, "AnswerKind", "What an answered slot holds.");
    try print_enum(out, Held, "Held", "What became of a request that a server holds.");
    try print_enum(out, abi.Runtime, "Runtime", "What runs a participant.");
    try print_enum(out, abi.StatField, "StatField", "Places in what `tandem_stats` writes.");
    try print_enum(out, worker.State, "EntryState", "What became of the call of an entry in a worker's record.");
    try print_enum(out, abi.RecordField, "RecordField", "Places at the beginning of what `tandem_record_read` writes.");
    try print_enum(out, abi.EntryField, "EntryField", "Places in what follows there for each entry.");
    try print_enum(out, abi.LimitField, "LimitField", "Places in what `tandem_limit_list` writes for each contender.");
    try print_enum(out, zmq.Kind, "ZmqKind", "What a message of ZeroMQ is.");
    try print_places(out, abi.Control, "Control", "Places in the control block: of 32-bit words, and of doubles.");
    try print_places(out, abi.BatchCall, "BatchCall", "Places in a call of a batch: of 32-bit words.");
    try print_places(out, zmq.Batch, "ZmqBatch", "Places in a batch: of 32-bit words, of addresses, and the offsets of arrays in units of their items.");
    try print_places(out, zmq.Record, "ZmqRecord", "Places in a record of a batch: of 32-bit words, and of doubles.");
    try out.flush();
}

const Held = @import("protocol/slots.zig").SlotsType(@import("memory/shared.zig").Real).Held;

fn print_enum(out: *std.Io.Writer, comptime Enum: type, name: []const u8, comment: []const u8) !void {
    try out.print("\n/** {s} */\nexport const {s} = {{\n", .{ comment, name });
    inline for (comptime std.meta.fieldNames(Enum)) |field| {
        try out.writeAll("  ");
        try camel(out, field);
        try out.print(": {d},\n", .{@backingInt(@field(Enum, field))});
    }
    try out.print("}} as const;\n", .{});
}

/// Prints 32-bit fields as indexes into an Int32Array, and doubles as indexes into a Float64Array over the
/// same bytes.
fn print_places(out: *std.Io.Writer, comptime Block: type, name: []const u8, comment: []const u8) !void {
    try out.print("\n/** {s} */\nexport const {s} = {{\n", .{ comment, name });
    inline for (comptime std.meta.fieldNames(Block)) |field| {
        const Field = @FieldType(Block, field);
        const size = @sizeOf(if (@typeInfo(Field) == .array) std.meta.Child(Field) else Field);
        try out.writeAll("  ");
        try camel(out, field);
        try out.print(": {d},\n", .{@offsetOf(Block, field) / size});
    }
    try out.writeAll("} as const;\n");
}

fn camel(out: *std.Io.Writer, name: []const u8) !void {
    var upper = false;
    for (name) |byte| {
        if (byte == '_') {
            upper = true;
            continue;
        }
        try out.writeByte(if (upper) std.ascii.toUpper(byte) else byte);
        upper = false;
    }
}

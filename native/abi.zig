//! What crosses the boundary to TypeScript: the version, the status codes, and the control block, through
//! which a call returns more than one number. `bindings.zig` prints src/ffi/layout.ts from this file.

const std = @import("std");

/// Increase it with every change of a symbol, of the control block, of a status code or of a detail. It is
/// compared when the library is loaded.
pub const abi_version: u32 = 14;

/// Everything that can go wrong, one name each for the whole native side.
pub const Error = error{
    Timeout,
    Busy,
    TooLarge,
    Cancelled,
    NotFound,
    Exists,
    Mismatch,
    Incompatible,
    Corrupt,
    Permission,
    NoSpace,
    Unsupported,
    InvalidTarget,
    System,
};

/// A result below zero is `-status`; zero and above are the call's own results.
pub const Status = enum(i32) {
    timeout = 1,
    busy = 2,
    too_large = 3,
    server_died = 4,
    cancelled = 5,
    not_found = 6,
    exists = 7,
    mismatch = 8,
    incompatible = 9,
    corrupt = 10,
    permission = 11,
    no_space = 12,
    unsupported = 13,
    invalid_target = 14,
    /// An error of the operating system without a code of its own; the control block has its number.
    system = 15,
    /// The handler failed: the answer is its error.
    remote = 16,
    /// The answer has arrived and is longer than the buffer; it stays in its slot.
    longer = 17,
    /// Not answered yet.
    not_yet = 18,

    pub fn result(status: Status) i32 {
        return -@backingInt(status);
    }
};

pub fn status_of(err: Error) Status {
    return switch (err) {
        error.Timeout => .timeout,
        error.Busy => .busy,
        error.TooLarge => .too_large,
        error.Cancelled => .cancelled,
        error.NotFound => .not_found,
        error.Exists => .exists,
        error.Mismatch => .mismatch,
        error.Incompatible => .incompatible,
        error.Corrupt => .corrupt,
        error.Permission => .permission,
        error.NoSpace => .no_space,
        error.Unsupported => .unsupported,
        error.InvalidTarget => .invalid_target,
        error.System => .system,
    };
}

/// What an error is about; TypeScript makes the message from it.
pub const Detail = enum(u32) {
    none = 0,
    /// `errno` gives the reason; the function that failed determines the system call.
    open_file,
    make_directory,
    directory_owner,
    directory_mode,
    not_a_directory,
    not_a_file,
    file_owner,
    file_empty,
    file_short,
    not_a_channel,
    bad_geometry,
    layout_version,
    kind,
    slots,
    max_request_bytes,
    max_response_bytes,
    max_deliveries,
    name_invalid,
    path_too_long,
    allocate,
    map_memory,
    handles,
    lock,
    memfd,
    unlink,
    geometry_too_large,
    /// Version of the kernel: a thousand for the major number and one for the minor.
    kernel,
    /// `errno` says why the environment of the process cannot be read.
    environment,
    /// About the folder of bells beside a channel.
    bells_owner,
    bells_mode,
    bells_kind,
    /// This participant has no folder of bells.
    no_bells,
    /// Read locks of another process keep new participants out.
    locked_out,
    /// Writing to the file again takes new space; `found` is the magic number of its file system.
    copy_on_write,
    /// About the terms of a limit: others contend on other terms.
    limit_max,
    limit_order,
    /// The limit has given out all tickets that it has.
    tickets,
};

/// Filled by calls that return more than their result. It consists of 32-bit words, so that TypeScript reads
/// it through one Int32Array.
pub const Control = extern struct {
    /// The `Detail` of the last error.
    detail: u32 = 0,
    errno: u32 = 0,
    /// The two values that an error compares: the one found and the one wanted.
    found: f64 = 0,
    wanted: f64 = 0,

    /// The call that the operation was about.
    slot: u32 = 0,
    generation_low: u32 = 0,
    generation_high: u32 = 0,
    length: u32 = 0,
    /// `request_*` flags of a request, `AnswerKind` of an answer.
    flags: u32 = 0,
    /// 1: the first delivery of the request.
    deliveries: u32 = 0,
    /// Milliseconds left of the client's deadline; infinite without one.
    time_remaining: f64 = 0,

    /// Results of `tandem_open`.
    handle: f64 = 0,
    base: f64 = 0,
    dense_bytes: f64 = 0,
    area_stride: f64 = 0,
    response_offset: f64 = 0,
    slots_offset: f64 = 0,
    slots: u32 = 0,
    max_request_bytes: u32 = 0,
    max_response_bytes: u32 = 0,
    max_deliveries: u32 = 0,
    path_length: u32 = 0,
    kind: u32 = 0,
    /// The mode of the channel's file.
    mode: u32 = 0,
    /// About a channel whose options differ: the number of its participants, the process ids of the first
    /// ones, and a bit for each of those that is a server.
    attached: u32 = 0,
    attached_servers: u32 = 0,
    attached_pids: [attached_max]u32 = @splat(0),
    reserved: u32 = 0,
    /// About a participant; with its index, the two words name its private channel.
    epoch_low: u32 = 0,
    epoch_high: u32 = 0,
    channel_low: u32 = 0,
    channel_high: u32 = 0,
    pid: u32 = 0,
    uid: u32 = 0,
    runtime: u32 = 0,
    /// The requests that it holds.
    calls: u32 = 0,
    /// About a limit.
    list_max: u32 = 0,
    list_order: u32 = 0,
    list_holders: u32 = 0,
    list_waiters: u32 = 0,
    /// 1: shortly before the place was granted, the limit's file had its name.
    is_named: u32 = 0,
    reserved_limit: u32 = 0,
    /// About a participant: how many boards it has published.
    board: f64 = 0,

    pub const attached_max = 8;

    comptime {
        std.debug.assert(@sizeOf(Control) == 240);
    }

    pub fn fail(control: *Control, detail: Detail, errno: u32) void {
        control.detail = @backingInt(detail);
        control.errno = errno;
    }

    pub fn compare(control: *Control, detail: Detail, found: u64, wanted: u64) void {
        control.detail = @backingInt(detail);
        control.found = @floatFromInt(found);
        control.wanted = @floatFromInt(wanted);
    }
};

/// Stands for an option that the caller leaves out.
pub const not_given = std.math.nan(f64);

pub const Options = extern struct {
    slots: f64 = not_given,
    max_request_bytes: f64 = not_given,
    max_response_bytes: f64 = not_given,
    max_deliveries: f64 = not_given,
    mode: f64 = not_given,
    fd: f64 = not_given,
    /// For `open_private`: the handle through which the private channel is found. Its own participant hosts
    /// the channel, or another participant of its channel does.
    main: f64 = not_given,
    /// A function of the runtime that says whether it wants this thread to end, and the function's argument.
    interrupt: f64 = not_given,
    interrupt_argument: f64 = not_given,
};

/// The operation word of `tandem_open`.
pub const open_role_server: u32 = 1;
pub const open_kind_int: u32 = 2;
/// Attach to a channel, or make one if there is none.
pub const open_or_create: u32 = 4;
pub const open_create_new: u32 = 8;
pub const open_anonymous: u32 = 16;
pub const open_from_fd: u32 = 32;
/// A private channel of one participant; with `open_create_new`, this participant's own.
pub const open_private: u32 = 64;
/// A concurrency limit.
pub const open_kind_limit: u32 = 128;

/// A client that only sends: nobody watches it, and it has no files.
pub const open_quiet: u32 = 256;

/// The longest board.
pub const board_bytes_max: u32 = 16 << 20;

/// Flags of a send.
pub const send_text: u32 = 1;
pub const send_one_way: u32 = 2;
/// Wait for a slot, until the deadline if there is one.
pub const send_block: u32 = 4;
/// An event loop waits for the call: `tandem_poll` reports its end.
pub const send_watched: u32 = 8;
/// The bytes end with a note about the peer for which the request is sent.
pub const send_forwarded: u32 = 16;
pub const send_deliveries_shift = 8;

/// A call among several, and the bytes that go with it.
pub const BatchCall = extern struct {
    slot: u32 = 0,
    generation_low: u32 = 0,
    generation_high: u32 = 0,
    /// Where the request is, or the answer.
    offset: u32 = 0,
    length: u32 = 0,
    /// Of an answer: the result as `tandem_get` returns it.
    status: i32 = 0,
};

/// Calls of one batch.
pub const batch_calls_max = 256;
/// Added to the result of `tandem_send_all`: `tandem_nudge` is due after a while.
pub const send_all_nudge: u32 = 1 << 16;

/// Flags of a request as its server sees them.
pub const request_text: u32 = 1;
pub const request_one_way: u32 = 2;
pub const request_forwarded: u32 = 4;

/// Time-outs of `tandem_receive`, and a result.
pub const receive_first: i32 = -1;
pub const receive_next: i32 = -2;
pub const receive_stood_back: i32 = 2;

/// What `tandem_cancel` does to a call that already has an answer.
pub const cancel_keep_answer: u32 = 0;
pub const cancel_release: u32 = 1;
/// The call's deadline has passed: cancels it and counts a time-out.
pub const cancel_timed_out: u32 = 2;
/// The call is a draft that was never sent.
pub const cancel_draft: u32 = 3;

/// Results of `tandem_watch_next` beside a descriptor.
pub const watch_complete: i32 = -1;
pub const watch_incomplete: i32 = -2;
/// The participant in the control block need not be watched any more.
pub const watch_drop: i32 = -3;

/// What an event loop that goes to sleep waits for.
pub const arm_requests: u32 = 1;
pub const arm_room: u32 = 2;

/// Results of `tandem_arm`.
pub const armed: i32 = 0;
pub const arm_work: i32 = 1;
pub const arm_newcomer: i32 = 2;
/// As `armed`, and `tandem_trim` is due in a second.
pub const armed_large: i32 = 3;
/// As `armed`, but the loop has to look by itself now and then, because no ring may come.
pub const armed_unsure: i32 = 4;

/// Results of `tandem_linger`.
pub const linger_nothing: i32 = 0;
pub const linger_work: i32 = 1;
/// Nothing has come, and other programs need the processor.
pub const linger_crowded: i32 = 2;

/// Flags of a request for a place.
pub const limit_shared: u32 = 1;
/// Takes the places of all holders, before all others that wait.
pub const limit_steal: u32 = 2;
/// Gives up at once if it gets no place.
pub const limit_try: u32 = 4;

/// Everyone may wait.
pub const limit_no_standby: u32 = std.math.maxInt(u32);

/// In which order waiters are served.
pub const limit_oldest: u32 = 1;
pub const limit_newest: u32 = 2;

/// What became of an attempt, beside a place (its number, from 1) and an error (the negative of a status).
pub const limit_waits: i32 = 0;
/// Enough others wait already.
pub const limit_refused_full: i32 = -1000;
/// Newer ones wait.
pub const limit_refused_replaced: i32 = -1001;
/// It did not want to wait.
pub const limit_not_now: i32 = -1002;
/// Somebody has taken the place, or the file is gone.
pub const limit_lost: i32 = -1003;
/// There is no attempt.
pub const limit_idle: i32 = -1004;

/// Numbers that `tandem_limit_list` writes for each contender.
pub const LimitField = enum(u32) { index, is_waiting, place, ticket, token_low, token_high, pid, runtime, since, shared, urgent };

/// What runs a participant, as it says itself.
pub const Runtime = enum(u32) { unknown, deno, bun, node, _ };

/// For `tandem_exec`: the participant ends with the program, also if the program's children live on.
pub const exec_alone: u32 = 1;

/// For `tandem_guard_start`: no such descriptor.
pub const guard_none: u32 = std.math.maxInt(u32);

/// Numbers at the beginning of what `tandem_record_read` writes.
pub const RecordField = enum(u32) { entries, calls, failures };

/// Numbers that follow for each entry.
pub const EntryField = enum(u32) { entry, state, sequence, method, age, slot, generation_low, generation_high };

pub const bell_fifo: u32 = 1;
pub const bell_datagram: u32 = 2;

/// Numbers in the order in which `tandem_stats` writes them.
pub const StatField = enum(u32) {
    slots,
    in_flight,
    queued,
    clients,
    servers,
    requests,
    replies,
    failures,
    cancelled,
    timeouts,
    redelivered,
    server_deaths,
    client_deaths,
    reclaimed,
    busy,
    wakeups,
    waiting_servers,
    waiting_clients,
    committed_bytes,
    mapped_bytes,
    @"unreachable",
};

test "every error has a status of its own" {
    const errors = std.meta.tags(Status);
    for (errors, 0..) |a, index| {
        for (errors[index + 1 ..]) |b| try std.testing.expect(a != b);
        try std.testing.expect(a.result() < 0);
    }
}

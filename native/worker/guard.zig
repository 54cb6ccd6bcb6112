//! The guard of a worker process: a thread that ends the process when its supervisor is gone, and when a call
//! takes too long. It works while JavaScript is busy, waits or loops, which is when it is needed.
//!
//! While calls run it looks at them now and then. When none has begun between two looks, it sleeps until the
//! next one wakes it.
//!
//! It looks at the memory of a handle only while it holds the lock, and a thread that closes a handle takes the
//! same lock.

const std = @import("std");
const abi = @import("../abi.zig");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const judgement = @import("judgement.zig");
const mappings = @import("../platform/sys/mappings.zig");
const places = @import("places.zig");
const process = @import("../platform/sys/process.zig");
const process_tree = @import("process_tree.zig");
const record = @import("record.zig");
const record_memory = @import("record_memory.zig");
const slots = @import("../protocol/slots.zig");
const thread = @import("../platform/thread.zig");
const words = @import("../memory/words.zig");
const Error = abi.Error;
const Handle = @import("../handle.zig").Handle;
const Limits = judgement.Limits;
const Lock = @import("../platform/lock.zig").Lock;
const Place = places.Place;
const Shared = @import("../memory/shared.zig").Chosen;
const Participants = @import("../protocol/participants.zig").ParticipantsType(Shared);
const Places = places.PlacesType(Shared);
const Record = record.RecordType(Shared);
const Slots = slots.SlotsType(Shared);
const TableBounds = @import("../protocol/table_bounds.zig").TableBoundsType(Shared);

/// The record of this process and what the guard knows beside it.
const Watch = struct {
    memory: record_memory.Memory,
    limits: Limits,
    places: []Place,
    /// Entries from here on were never used.
    used: u32,
    /// Where the search for a free place begins: the one that was left last.
    next: u32,
    /// The sum of all sequences at the last look: it changes when a call begins.
    begun: u64,
};

/// Protects everything in this file, except that calls begin and end without it.
var lock: Lock = .{};
var current: ?*Watch = null;
var is_started = false;
/// Hangs up when the supervisor is gone; -1: there is none.
var lifeline: i32 = -1;
/// Wakes the guard.
var bell: i32 = -1;
/// 1: the guard sleeps until a call begins.
var sleeps: u32 = 0;

/// What guards a worker. A null descriptor is left out, and may be added by a later call.
pub fn start(record_fd: ?i32, lifeline_fd: ?i32, limits: Limits) Error!void {
    clock.learn();
    lock.take();
    defer lock.give();
    if (record_fd) |fd| if (current == null) {
        const watch = try open(fd, limits);
        @atomicStore(?*Watch, &current, watch, .release);
        // The worker's children have no business with it.
        files.close_on_exec(fd);
    };
    if (lifeline_fd) |fd| if (lifeline < 0) {
        const copy = files.duplicate(fd);
        if (!copy.ok()) return error.Corrupt;
        @atomicStore(i32, &lifeline, copy.fd(), .monotonic);
    };
    if (is_started) {
        _ = files.write_counter(bell);
        return;
    }
    const counter = files.event_counter();
    if (!counter.ok()) return error.NoSpace;
    bell = counter.fd();
    is_started = thread.spawn(run, null);
    if (is_started) return;
    files.close(bell);
    bell = -1;
    return error.Unsupported;
}

fn open(fd: i32, limits: Limits) Error!*Watch {
    var control: abi.Control = .{};
    const memory = try record_memory.attach(fd, &control);
    errdefer memory.close();
    const first_place = std.mem.alignForward(usize, @sizeOf(Watch), @alignOf(Place));
    // Zeroed: no place is taken. No page is touched before it is used.
    const mapped = mappings.map_private(first_place + @as(u64, memory.entries) * @sizeOf(Place));
    if (!mapped.ok()) return error.NoSpace;
    const watch: *Watch = @ptrFromInt(mapped.value);
    const table: [*]Place = @ptrFromInt(mapped.value + first_place);
    watch.* = .{
        .memory = memory,
        .limits = limits,
        .places = table[0..memory.entries],
        .used = 0,
        .next = 0,
        .begun = 0,
    };
    return watch;
}

/// A call begins. Null: there is no record, or it has no room, so no guard watches the call.
pub fn begin(handle: *Handle, call: slots.Call, method: u32) ?u32 {
    const watch = @atomicLoad(?*Watch, &current, .acquire) orelse return null;
    const index = Places.take(watch.places, @atomicLoad(u32, &watch.next, .monotonic)) orelse return null;
    // Sequentially consistent, as the beginning of the call below: the guard's last look must come this far.
    const is_first = index >= @atomicLoad(u32, &watch.used, .seq_cst);
    if (is_first) _ = @atomicRmw(u32, &watch.used, .Max, index + 1, .seq_cst);
    // Both are handed over with the request.
    const slot = handle.map.slot(call.slot);
    const deadline_ns = Shared.load(u64, &slot.deadline_ns, .monotonic);
    const owner = Shared.load(words.Owner, &slot.owner, .monotonic);
    // A damaged entry stays taken.
    Places.begin(&watch.places[index], watch.memory.entry(index), .{
        .handle = @intFromPtr(handle),
        .slot = call.slot,
        .generation = call.generation,
        .since_ns = Shared.now_ns(),
        .deadline_ns = deadline_ns,
        // An odd one was scribbled over. This handle itself is never dead.
        .owner = if (TableBounds.has_participant(handle, owner.index)) owner else handle.owner(),
    }, method) orelse return null;
    // In the one order, either the guard's announcement comes before this look, or the beginning of the call
    // comes before the guard's last look.
    const is_asleep = @atomicLoad(u32, &sleeps, .seq_cst) != 0;
    if (is_asleep and @atomicRmw(u32, &sleeps, .Xchg, 0, .seq_cst) != 0) _ = files.write_counter(bell);
    return index;
}

/// A call ends. If the process has been condemned for it, the process ends here: it must do nothing more, and
/// whoever condemned it may not have come to kill it.
pub fn end(index: u32, has_failed: bool) void {
    const watch = @atomicLoad(?*Watch, &current, .acquire) orelse return;
    if (index >= watch.places.len) return;
    const place = &watch.places[index];
    if (@atomicLoad(u32, &place.is_taken, .monotonic) == 0) return;
    if (!Places.end(place, watch.memory.entry(index))) process_tree.end(process.id());
    Record.count(watch.memory.header(), has_failed);
    @atomicStore(u32, &watch.next, index, .monotonic);
    Places.give_back(place);
}

/// Before the memory of a handle goes.
pub fn forget(handle: *Handle) void {
    const watch = @atomicLoad(?*Watch, &current, .acquire) orelse return;
    lock.take();
    defer lock.give();
    Places.forget(watch.places[0..@atomicLoad(u32, &watch.used, .monotonic)], @intFromPtr(handle));
}

fn run(_: ?*anyopaque) callconv(.c) ?*anyopaque {
    process.set_thread_name("tandem-guard");
    serve();
}

fn serve() noreturn {
    while (true) {
        const wait_ns = look();
        var watched = [_]files.Watched{
            .{ .fd = @atomicLoad(i32, &lifeline, .monotonic) },
            .{ .fd = bell, .events = files.poll_in },
        };
        const result = files.poll(&watched, wait_ns);
        if (watched[0].found & files.poll_gone != 0) process_tree.end(process.id());
        if (watched[1].found != 0) files.drain(bell);
        // Out of memory, for instance. Never retry in a tight loop.
        if (!result.ok() and result.errno != .INTR) clock.sleep_ns(10 * std.time.ns_per_ms);
    }
}

/// Ends the process if it has to. Otherwise says how long the guard may sleep; null: until a call begins.
fn look() ?u64 {
    lock.take();
    defer lock.give();
    const watch = current orelse return null;
    const now_ns = Shared.now_ns();
    const seen = survey(watch, now_ns);
    if (seen.until_ns != judgement.never) return seen.until_ns -| now_ns;
    const has_begun = seen.begun != watch.begun;
    watch.begun = seen.begun;
    // More calls may follow soon, and waking this thread would take their time.
    if (has_begun and watch.limits.look_ns() != judgement.never) return watch.limits.look_ns();
    @atomicStore(u32, &sleeps, 1, .seq_cst);
    const last = survey(watch, now_ns);
    if (last.until_ns == judgement.never) return null;
    @atomicStore(u32, &sleeps, 0, .monotonic);
    return last.until_ns -| now_ns;
}

const Survey = struct { until_ns: u64 = judgement.never, begun: u64 = 0 };

fn survey(watch: *Watch, now_ns: u64) Survey {
    var result: Survey = .{};
    for (0..@atomicLoad(u32, &watch.used, .seq_cst)) |index| {
        const entry = watch.memory.entry(@intCast(index));
        const word = Record.word_of(entry, .seq_cst);
        result.begun +%= word.sequence;
        // By the supervisor, which may have died since.
        if (word.is_condemned()) process_tree.end(process.id());
        if (word.state != .running) continue;
        const until_ns = look_at(watch, &watch.places[index], entry, word, now_ns);
        result.until_ns = @min(result.until_ns, until_ns);
    }
    return result;
}

/// Until when the call of this word may go on.
fn look_at(watch: *const Watch, place: *Place, entry: *record.Entry, word: record.Word, now_ns: u64) u64 {
    // Ended, and perhaps another one has begun: soon again.
    const call = Places.read(place, entry, word) orelse return now_ns + std.time.ns_per_ms;
    const known = place.noticed_sequence == word.sequence;
    if (!known and call.handle != 0 and is_abandoned(@ptrFromInt(call.handle), call, now_ns)) {
        place.noticed_sequence = word.sequence;
        place.noticed_ns = now_ns;
    }
    const verdict = judgement.judge(.{
        .since_ns = call.since_ns,
        .deadline_ns = call.deadline_ns,
        .noticed_ns = if (place.noticed_sequence == word.sequence) place.noticed_ns else null,
        .is_forgotten = call.handle == 0,
    }, watch.limits, now_ns);
    switch (verdict) {
        .until_ns => |until_ns| return until_ns,
        .condemn => |reason| {
            if (Record.condemn(entry, word.sequence, reason)) process_tree.end(process.id());
            return now_ns + std.time.ns_per_ms;
        },
    }
}

/// Whether no client waits for the call any more. Called under the lock, so the handle is open.
fn is_abandoned(handle: *Handle, call: places.Call, now_ns: u64) bool {
    // A look at the memory of a file that was cut short would end the process.
    if (Shared.file_state(handle) == .short) return true;
    return switch (Slots.held(handle, .{ .slot = call.slot, .generation = call.generation })) {
        .abandoned => true,
        // It is answered, and its end follows: whoever killed the process for it would hit another call.
        .lost => false,
        // The client's time may be over before the client has looked. And who would notice its death, if this
        // process is the only other one?
        .held => (call.deadline_ns != 0 and call.deadline_ns <= now_ns) or
            Participants.dead_epoch(handle, call.owner.index, call.owner.epoch),
        .posted => false,
    };
}

//! What one open Server or Client knows privately. No other process can reach this memory, so the code trusts
//! it. It trusts nothing in shared memory.

const std = @import("std");
const abi = @import("abi.zig");
const layout = @import("memory/layout.zig");
const limit_words = @import("memory/limit_words.zig");
const words = @import("memory/words.zig");
const clock = @import("platform/sys/clock.zig");
const files = @import("platform/sys/files.zig");
const mappings = @import("platform/sys/mappings.zig");
const waker_thread = @import("waiting/waker_thread.zig");
const pacing = @import("waiting/pacing.zig");
const Role = layout.Role;
const thread_exit = @import("platform/thread_exit.zig");
const Bells = @import("platform/bells/bells.zig").Bells;

/// A call of this handle that has not ended.
pub const OwnCall = struct {
    slot: u32,
    posted: bool,
    /// An event loop waits for it.
    watched: bool,
    generation: words.Generation,
    /// The call's deadline; 0: none.
    deadline_ns: u64 = 0,
};

/// How much of a slot's areas is known to be allocated, so that writes there cannot fault.
const Committed = struct {
    request_bytes: u32,
    response_bytes: u32,
    /// The slot's `trims` at that time.
    trims: u32,
    /// The slot is in the list of slots that had long messages, the last one at `used_ns`.
    is_large: bool,
    used_ns: u64,
};

/// This much of a slot's area stays allocated; pages beyond it are given back after a while.
pub const keep_bytes = 64 << 10;

/// How many participants one event loop watches.
pub const watched_max = 64;

/// A descriptor that the event loop owns, and the file that it stood for when the loop got it.
const Lent = struct { fd: i32 = -1, participant: u32 = 0, device: u64 = 0, inode: u64 = 0 };

/// What a contender of a limit knows privately.
pub const Contention = struct {
    /// The terms that its user wants; 0: those of the file.
    max: u11 = 0,
    order: u32 = 0,
    /// Wishes to resize up to this number are known: `max` follows them.
    resizes_seen: u53 = 0,
    /// How many may wait beside it, in this attempt.
    standby: u32 = abi.limit_no_standby,
    /// The state of its word that its user knows; an event loop sleeps until it is another one.
    known: limit_words.ContenderState = .idle,
    /// The fencing token of the place that it holds; 0: none.
    token: u64 = 0,
    /// When the place was granted, and when the file was last seen to have its name, in milliseconds since the
    /// epoch.
    granted_at: u64 = 0,
    named_at: u64 = 0,
};

/// How the runtime ends a thread that a blocking operation holds: the operation asks it now and then.
pub const Interruption = struct {
    const Ask = *const fn (?*anyopaque) callconv(.c) u32;

    ask: ?Ask = null,
    argument: ?*anyopaque = null,

    pub fn is_due(interruption: Interruption) bool {
        const ask = interruption.ask orelse return false;
        return ask(interruption.argument) != 0;
    }
};

pub const Handle = struct {
    map: layout.Map,
    /// The description that holds this participant's lock. It is never passed on except by `bequest.zig`: a child
    /// that inherited it would keep the lock after its parent's death, and no process would notice that death.
    fd: i32,
    /// Another description of the same file, the `fd` that users see; -1: not needed yet.
    public_fd: i32 = -1,
    role: Role,
    /// Mode of the channel's file.
    mode: u32 = 0o600,
    /// The owner of that file.
    uid: u32 = 0,
    index: words.ParticipantIndex = 0,
    epoch: words.Epoch = 0,
    bells: Bells,
    /// Quiet handles on private channels that find their folders through this one.
    borrowers: ?*Handle = null,
    next_borrower: ?*Handle = null,
    lender: ?*Handle = null,

    /// Rings this handle's bell when others knock; null: there is nothing to ring yet, or no thread to do it.
    waker: ?*waker_thread.Assignment = null,

    /// The file had a name when this handle was opened. If it has no link now, it has lost the name since.
    is_named: bool = false,
    /// The file has lost its name.
    is_unlinked: bool = false,
    /// The user of this handle has removed the channel on purpose and needs no report.
    expects_removal: bool = false,
    /// A ring has failed since the last look at the file.
    has_failed_ring: bool = false,

    /// The file was cut short, and other processes no longer see the mapped memory: see `Wait.lost`.
    is_lost: bool = false,

    /// Entries of each table that have memory, see table_bounds.zig.
    participants_known: u32 = 0,
    slots_known: u32 = 0,

    /// The values of `joins` and `departures` for which this handle has chosen whom it watches.
    watched_joins: u64 = 0,
    watched_departures: u64 = 0,
    /// It is rung for boards, and has looked at them when the channel's `boards` was `boards_seen`.
    follows_boards: bool = false,
    boards_seen: u64 = 0,
    /// It could not watch a participant that leaves, and that may die on the way: it chooses again soon.
    has_missed_leaver: bool = false,
    watched_count: u32 = 0,
    /// This participant's `trait_*`.
    traits: u32 = 0,
    /// Clients die unwatched: a server of the channel notices their deaths, because its event loop always
    /// sleeps or works.
    watches_servers_only: bool = false,
    /// By participant index: the watched epoch, 0 for none.
    watched: [*]words.Epoch,
    /// By participant index: the epoch of a participant whose bell could not be rung by path the last time.
    unreachable_epochs: [*]words.Epoch,

    calls: [*]OwnCall,
    call_count: u32 = 0,
    posted_count: u32 = 0,
    /// By slot: one more than the position in `calls`, 0 for none.
    positions: [*]u32,

    /// Slots that this handle freed last. They are used first, so that the hot set stays in the cache.
    hints: [*]u32,
    hint_count: u32 = 0,
    /// Where the search for a free slot continues when no hint helps.
    probe: u32 = 0,
    committed: [*]Committed,
    /// Slots in which this handle saw long messages, for `trim.zig`.
    large: [*]u32,
    large_count: u32 = 0,
    operations: u32 = 0,
    /// Where the next search for the dead begins.
    sweep_next: u32 = 0,
    /// When the operations that never wait last searched for the dead.
    swept_ns: u64 = 0,
    /// What blocking waits have learned about when to sleep.
    pacing: pacing.Learned = .{},
    /// The processor in this participant's entry, and when to yield again: see `EventLoop.linger`.
    processor: u32 = 0,
    yield_after_ns: u64 = 0,
    /// A server was rung, or had been rung before, for a request of this handle: see `Calls.nudge`.
    responsible: bool = false,
    /// The last request found a free slot but no free cell of the ring.
    found_ring_full: bool = false,

    /// The load word of this participant's entry, and whether its bit says that it takes requests.
    load: words.LoadWord = .{},
    is_serving: bool = false,
    /// How many requests this server may take before it looks at the other servers again.
    allowance: u32 = 0,
    /// How long this server has left the request at this head to a less busy one, and when it looked last; 0: it
    /// does not.
    patience: struct { head: u64 = 0, seen_ns: u64 = 0, waited_ns: u64 = 0 } = .{},
    /// By participant index: one more than the number of the last look of a server that did not take what was
    /// left to it.
    unresponsive: [*]u64,

    /// Of a limit.
    contention: Contention = .{},
    /// By participant index: the epoch of a participant whose life pipe could not be opened.
    unwatchable: [*]words.Epoch,
    /// As `watched`, for the watches of blocking waits, which have no event loop.
    watched_blocking: [*]words.Epoch,
    /// The bell of blocking waits; -1: none was needed yet.
    blocking_bell: i32 = -1,

    /// What the event loop owns: its bell, under this participant's own index, and its death watches.
    lent: [watched_max + 1]Lent = @splat(.{}),

    /// Readable when there is something to take; -1: none was requested.
    notify_fd: i32 = -1,
    /// The descriptor that related processes share with this handle's peers; -1: none.
    peer_notify_fd: i32 = -1,

    memory_bytes: u64,
    interruption: Interruption = .{},
    /// Among the handles of one thread, so that the thread's end can close them.
    of_thread: thread_exit.Node = .{},

    /// Makes the handle and its tables in one piece of zeroed memory, whose pages are touched only as they
    /// are used.
    pub fn create(map: layout.Map, fd: i32, role: Role, bells: Bells) abi.Error!*Handle {
        const slots = map.geometry.slots;
        var size = Sizes{};
        const watched = size.add(words.Epoch, layout.participants_max);
        const unreachable_epochs = size.add(words.Epoch, layout.participants_max);
        const unresponsive = size.add(u64, layout.participants_max);
        const unwatchable = size.add(words.Epoch, layout.participants_max);
        const watched_blocking = size.add(words.Epoch, layout.participants_max);
        const calls = size.add(OwnCall, slots);
        const positions = size.add(u32, slots);
        const hints = size.add(u32, slots);
        const committed = size.add(Committed, slots);
        const large = size.add(u32, slots);
        const memory_bytes = std.mem.alignForward(u64, size.bytes, layout.page_bytes);
        const memory = mappings.map_private(memory_bytes);
        if (!memory.ok()) return error.NoSpace;
        const base: [*]align(layout.page_bytes) u8 = @ptrFromInt(memory.value);
        const handle: *Handle = @ptrCast(base);
        handle.* = .{
            .map = map,
            .fd = fd,
            .role = role,
            .bells = bells,
            .watched = @ptrCast(@alignCast(base + watched)),
            .unreachable_epochs = @ptrCast(@alignCast(base + unreachable_epochs)),
            .unresponsive = @ptrCast(@alignCast(base + unresponsive)),
            .unwatchable = @ptrCast(@alignCast(base + unwatchable)),
            .watched_blocking = @ptrCast(@alignCast(base + watched_blocking)),
            .calls = @ptrCast(@alignCast(base + calls)),
            .positions = @ptrCast(@alignCast(base + positions)),
            .hints = @ptrCast(@alignCast(base + hints)),
            .committed = @ptrCast(@alignCast(base + committed)),
            .large = @ptrCast(@alignCast(base + large)),
            .memory_bytes = memory_bytes,
        };
        return handle;
    }

    pub fn destroy(handle: *Handle) void {
        mappings.unmap(@intFromPtr(handle), handle.memory_bytes);
    }

    /// Remembers a descriptor that the event loop gets.
    pub fn lend(handle: *Handle, fd: i32, participant: u32) void {
        const file = files.stat(fd, "");
        if (file != .info) return;
        const lent: Lent = .{
            .fd = fd,
            .participant = participant,
            .device = file.info.device,
            .inode = file.info.inode,
        };
        var free: ?*Lent = null;
        for (&handle.lent) |*known| {
            if (known.fd >= 0 and known.participant != participant) continue;
            free = known;
            if (known.fd >= 0) break;
        }
        if (free) |known| known.* = lent;
    }

    /// The event loop closes its watch over a participant that lives. Another handle's watch over it, which is of the
    /// same file, may get the number.
    pub fn forget_lent(handle: *Handle, participant: u32) void {
        for (&handle.lent) |*known| {
            if (known.participant == participant) known.fd = -1;
        }
    }

    /// The bell of the event loop, if it still has one.
    pub fn lent_bell(handle: *Handle) ?i32 {
        for (&handle.lent) |*known| {
            if (known.fd >= 0 and known.participant == handle.index and is_open(known)) return known.fd;
        }
        return null;
    }

    /// A descriptor that was closed meanwhile may stand for another file.
    fn is_open(known: *const Lent) bool {
        const file = files.stat(known.fd, "");
        return file == .info and file.info.device == known.device and file.info.inode == known.inode;
    }

    pub fn close_blocking_bell(handle: *Handle) void {
        if (handle.blocking_bell >= 0) files.close(handle.blocking_bell);
        handle.blocking_bell = -1;
    }

    /// Closes the descriptors that a dead event loop has left open, as Deno's loop does when a Worker ends.
    pub fn close_lent(handle: *Handle) void {
        for (&handle.lent) |*known| {
            if (known.fd >= 0 and is_open(known)) files.close(known.fd);
        }
    }

    /// This participant's entry in the table.
    pub inline fn entry(handle: *const Handle) *layout.Participant {
        return handle.map.participant(handle.index);
    }

    /// This one finds the folders of its private channel through `lender`, as long as that is open.
    pub fn borrow(handle: *Handle, lender: *Handle) void {
        handle.lender = lender;
        handle.next_borrower = lender.borrowers;
        lender.borrowers = handle;
    }

    /// Before the handle closes.
    pub fn end_loans(handle: *Handle) void {
        while (handle.borrowers) |borrower| {
            handle.borrowers = borrower.next_borrower;
            borrower.lender = null;
            borrower.bells.lender = null;
        }
        const lender = handle.lender orelse return;
        var place = &lender.borrowers;
        while (place.* != handle) place = &place.*.?.next_borrower;
        place.* = handle.next_borrower;
    }

    pub fn has_trait(handle: *const Handle, trait: u32) bool {
        return handle.traits & trait != 0;
    }

    pub fn owner(handle: *const Handle) words.Owner {
        return .{ .index = handle.index, .epoch = handle.epoch };
    }

    pub fn add_call(handle: *Handle, call: OwnCall) void {
        // The slot is still listed if another participant ended its call and this handle has not looked
        // since.
        if (handle.find_call(call.slot)) |old| handle.remove_call(old.slot, old.generation);
        std.debug.assert(handle.call_count < handle.map.geometry.slots);
        handle.calls[handle.call_count] = call;
        handle.call_count += 1;
        handle.positions[call.slot] = handle.call_count;
        if (call.posted) handle.posted_count += 1;
    }

    pub fn find_call(handle: *Handle, slot: u32) ?*OwnCall {
        const position = handle.positions[slot];
        return if (position == 0) null else &handle.calls[position - 1];
    }

    /// Removes nothing if the slot already has a later call.
    pub fn remove_call(handle: *Handle, slot: u32, generation: words.Generation) void {
        const position = handle.positions[slot];
        if (position == 0 or handle.calls[position - 1].generation != generation) return;
        if (handle.calls[position - 1].posted) handle.posted_count -= 1;
        handle.positions[slot] = 0;
        handle.call_count -= 1;
        const last = handle.calls[handle.call_count];
        if (last.slot == slot) return;
        std.debug.assert(handle.positions[last.slot] == handle.call_count + 1);
        handle.calls[position - 1] = last;
        handle.positions[last.slot] = position;
    }

    pub fn push_hint(handle: *Handle, slot: u32) void {
        if (handle.hint_count == handle.map.geometry.slots) return;
        handle.hints[handle.hint_count] = slot;
        handle.hint_count += 1;
    }

    pub fn pop_hint(handle: *Handle) ?u32 {
        if (handle.hint_count == 0) return null;
        handle.hint_count -= 1;
        return handle.hints[handle.hint_count];
    }

    /// Makes sure that `length` bytes of a slot's request area can be written. A full file system causes an
    /// error here; without this, it would cause SIGBUS at the write.
    pub fn commit_request(handle: *Handle, slot: u32, length: u32, trims: u32) abi.Error!void {
        if (length <= layout.inline_request_bytes) return;
        const known = &handle.known_since(slot, trims).request_bytes;
        handle.note_length(slot, length);
        if (length <= known.*) return;
        known.* = try handle.commit(handle.map.request_offset(slot), known.*, length);
    }

    pub fn commit_response(handle: *Handle, slot: u32, length: u32, trims: u32) abi.Error!void {
        if (length <= layout.inline_response_bytes) return;
        const known = &handle.known_since(slot, trims).response_bytes;
        handle.note_length(slot, length);
        if (length <= known.*) return;
        known.* = try handle.commit(handle.map.response_offset(slot), known.*, length);
    }

    fn known_since(handle: *Handle, slot: u32, trims: u32) *Committed {
        const known = &handle.committed[slot];
        if (known.trims != trims) {
            known.request_bytes = 0;
            known.response_bytes = 0;
            known.trims = trims;
        }
        return known;
    }

    /// Remembers a slot with a long message.
    pub inline fn note_length(handle: *Handle, slot: u32, length: u32) void {
        if (length > keep_bytes) handle.note_large(slot);
    }

    fn note_large(handle: *Handle, slot: u32) void {
        const known = &handle.committed[slot];
        known.used_ns = clock.monotonic_ns();
        if (known.is_large) return;
        known.is_large = true;
        std.debug.assert(handle.large_count < handle.map.geometry.slots);
        handle.large[handle.large_count] = slot;
        handle.large_count += 1;
    }

    /// Forgets the slot at this position of the list.
    pub fn forget_large(handle: *Handle, position: u32) void {
        std.debug.assert(position < handle.large_count);
        std.debug.assert(handle.committed[handle.large[position]].is_large);
        handle.committed[handle.large[position]].is_large = false;
        handle.large_count -= 1;
        handle.large[position] = handle.large[handle.large_count];
    }

    fn commit(handle: *Handle, offset: u64, known: u32, length: u32) abi.Error!u32 {
        const needed = std.mem.alignForward(u32, length, layout.page_bytes);
        const result = files.fallocate(handle.fd, offset + known, needed - known);
        if (!result.ok()) return error.NoSpace;
        return needed;
    }

    /// A slot that is used for the first time may have its head on a page that does not exist yet.
    pub fn commit_slot_head(handle: *Handle, slot: u32) abi.Error!void {
        const offset = handle.map.geometry.slots_offset + @as(u64, slot) * @sizeOf(layout.Slot);
        if (!files.fallocate(handle.fd, offset, @sizeOf(layout.Slot)).ok()) return error.NoSpace;
    }
};

const Sizes = struct {
    bytes: usize = std.mem.alignForward(usize, @sizeOf(Handle), 16),

    fn add(sizes: *Sizes, comptime T: type, count: usize) usize {
        const start = std.mem.alignForward(usize, sizes.bytes, 16);
        sizes.bytes = start + @sizeOf(T) * count;
        return start;
    }
};

test "the table of own calls stays dense" {
    const geometry = try layout.Geometry.init(.bytes, 8, 64, 64, 1);
    const map: layout.Map = .{ .base = undefined, .geometry = geometry };
    const handle = try Handle.create(map, -1, .client, undefined);
    defer handle.destroy();
    for ([_]u32{ 3, 5, 7 }) |slot| {
        handle.add_call(.{ .slot = slot, .posted = slot == 5, .watched = false, .generation = slot });
    }
    handle.remove_call(3, 3);
    handle.remove_call(4, 4);
    handle.remove_call(5, 4);
    try std.testing.expectEqual(2, handle.call_count);
    try std.testing.expectEqual(7, handle.find_call(7).?.generation);
    try std.testing.expectEqual(null, handle.find_call(3));
    try std.testing.expectEqual(1, handle.posted_count);
    handle.remove_call(5, 5);
    handle.remove_call(7, 7);
    try std.testing.expectEqual(0, handle.call_count);
    try std.testing.expectEqual(0, handle.posted_count);
}

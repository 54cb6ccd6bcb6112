//! The end of a thread. A Worker that ends leaves its process alive and its locks held, so the handles of a
//! thread are linked to a pthread key, whose destructor closes them. Without a C library only whole processes
//! end.

const std = @import("std");
const libc = @import("libc.zig");

const Destructor = *const fn (?*anyopaque) callconv(.c) void;

/// Links the handles of one thread.
pub const Node = struct { previous: ?*Node = null, next: ?*Node = null };

const GetSpecific = *const fn (c_uint) callconv(.c) ?*anyopaque;
const SetSpecific = *const fn (c_uint, ?*const anyopaque) callconv(.c) c_int;
const KeyCreate = *const fn (*c_uint, ?Destructor) callconv(.c) c_int;

const KeyState = enum(u32) { none, making, made, unavailable };

var key_state: u32 = @backingInt(KeyState.none);
var key: c_uint = 0;

/// Registers `close_all` for the end of threads. Called before the first `add`.
fn thread_key(close_all: Destructor) ?c_uint {
    const create = libc.function(KeyCreate, "pthread_key_create") orelse return null;
    // The thread that makes the key releases it to all threads that acquire the state.
    const none = @backingInt(KeyState.none);
    const making = @backingInt(KeyState.making);
    if (@cmpxchgStrong(u32, &key_state, none, making, .acq_rel, .acquire) == null) {
        const made = create(&key, close_all) == 0;
        const state: KeyState = if (made) .made else .unavailable;
        @atomicStore(u32, &key_state, @backingInt(state), .release);
    }
    while (@atomicLoad(u32, &key_state, .acquire) == making) std.atomic.spinLoopHint();
    return if (@atomicLoad(u32, &key_state, .acquire) == @backingInt(KeyState.made)) key else null;
}

pub fn add(node: *Node, close_all: Destructor) void {
    const thread = thread_key(close_all) orelse return;
    std.debug.assert(node.previous == null and node.next == null);
    const first: ?*Node = @ptrCast(@alignCast(libc.function(GetSpecific, "pthread_getspecific").?(thread)));
    node.next = first;
    if (first) |other| other.previous = node;
    _ = libc.function(SetSpecific, "pthread_setspecific").?(thread, node);
}

pub fn remove(node: *Node, close_all: Destructor) void {
    if (node.next) |next| next.previous = node.previous;
    if (node.previous) |previous| {
        previous.next = node.next;
        return;
    }
    const thread = thread_key(close_all) orelse return;
    _ = libc.function(SetSpecific, "pthread_setspecific").?(thread, node.next);
}

/// Runs now what would run at the end of the calling thread. The thread continues.
pub fn end(close_all: Destructor) void {
    const thread = thread_key(close_all) orelse return;
    const first = libc.function(GetSpecific, "pthread_getspecific").?(thread) orelse return;
    close_all(first);
    _ = libc.function(SetSpecific, "pthread_setspecific").?(thread, null);
}

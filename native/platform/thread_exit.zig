//! Threads: their end, and one of the library's own. A Worker that ends leaves its process alive and its locks held, so the
//! handles of a thread hang on a pthread key whose destructor closes them. The C library is the
//! host process's own, whichever it is; where there is none, nothing ends but whole processes.
//!
//! The key is the library's only state besides the handles.

const std = @import("std");
const host = @import("libc.zig");
const process = @import("sys/process.zig");
const Handle = @import("../handle.zig").Handle;

const Destructor = *const fn (?*anyopaque) callconv(.c) void;

const GetSpecific = *const fn (c_uint) callconv(.c) ?*anyopaque;
const SetSpecific = *const fn (c_uint, ?*const anyopaque) callconv(.c) c_int;
const KeyCreate = *const fn (*c_uint, ?Destructor) callconv(.c) c_int;

const KeyState = enum(u32) { none, making, made, unavailable };

var key_state: u32 = @backingInt(KeyState.none);
var key: c_uint = 0;

/// Sets what runs for the handles of a thread at its end. Called before the first `add`.
fn thread_key(close_all: Destructor) ?c_uint {
    const create = host.function(KeyCreate, "pthread_key_create") orelse return null;
    // The release of the one who made the key hands it over to all who acquire the state.
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

const Attributes = extern struct { bytes: [128]u8 align(16) };
const AttributesInit = *const fn (*Attributes) callconv(.c) c_int;
const AttributesSetInt = *const fn (*Attributes, c_int) callconv(.c) c_int;
const AttributesSetSize = *const fn (*Attributes, usize) callconv(.c) c_int;
const AttributesDestroy = *const fn (*Attributes) callconv(.c) c_int;
const Body = *const fn (?*anyopaque) callconv(.c) ?*anyopaque;
const Create = *const fn (*usize, *const Attributes, Body, ?*anyopaque) callconv(.c) c_int;

/// The first is enough, unless the process has large thread-local variables, which lie in there as well.
/// What is not touched takes no memory.
const stack_sizes = [_]usize{ 128 << 10, 1 << 20 };

/// Starts a thread that belongs to the process as a whole, and ends with it. No signal handler of the
/// process runs on it. False: the process has no C library, or may have no further thread.
pub fn spawn(body: Body, argument: ?*anyopaque) bool {
    if (comptime @hasDecl(@import("root"), "spawn_thread")) return @import("root").spawn_thread(body, argument);
    const create = host.function(Create, "pthread_create") orelse return false;
    const init = host.function(AttributesInit, "pthread_attr_init") orelse return false;
    const set_detached = host.function(AttributesSetInt, "pthread_attr_setdetachstate") orelse return false;
    const set_stack_size = host.function(AttributesSetSize, "pthread_attr_setstacksize") orelse return false;
    const destroy = host.function(AttributesDestroy, "pthread_attr_destroy") orelse return false;
    // It inherits the mask. The C library's own signals stay: `setuid` waits until each thread has had
    // its one (33 in glibc, 34 in musl).
    const c_library_signals: u64 = 0b111 << 31;
    const mask = process.set_signal_mask(~c_library_signals);
    defer _ = process.set_signal_mask(mask);
    for (stack_sizes) |stack_size| {
        var attributes: Attributes = undefined;
        if (init(&attributes) != 0) return false;
        defer _ = destroy(&attributes);
        const detached = 1;
        if (set_detached(&attributes, detached) != 0) return false;
        if (set_stack_size(&attributes, stack_size) != 0) continue;
        var thread: usize = 0;
        if (create(&thread, &attributes, body, argument) == 0) return true;
    }
    return false;
}

pub fn add(handle: *Handle, close_all: Destructor) void {
    const thread = thread_key(close_all) orelse return;
    const first: ?*Handle = @ptrCast(@alignCast(host.function(GetSpecific, "pthread_getspecific").?(thread)));
    handle.next = first;
    if (first) |other| other.previous = handle;
    _ = host.function(SetSpecific, "pthread_setspecific").?(thread, handle);
}

pub fn remove(handle: *Handle, close_all: Destructor) void {
    if (handle.next) |next| next.previous = handle.previous;
    if (handle.previous) |previous| {
        previous.next = handle.next;
        return;
    }
    const thread = thread_key(close_all) orelse return;
    _ = host.function(SetSpecific, "pthread_setspecific").?(thread, handle.next);
}

/// Does what happens at the end of the calling thread, which goes on.
pub fn end(close_all: Destructor) void {
    const thread = thread_key(close_all) orelse return;
    const first = host.function(GetSpecific, "pthread_getspecific").?(thread) orelse return;
    close_all(first);
    _ = host.function(SetSpecific, "pthread_setspecific").?(thread, null);
}

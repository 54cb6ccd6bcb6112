//! The end of a thread. A Worker that ends leaves its process alive and its locks held, so the
//! handles of a thread hang on a pthread key whose destructor closes them. The C library is the
//! host process's own, whichever it is; where there is none, nothing ends but whole processes.
//!
//! The key is the library's only state besides the handles.

const std = @import("std");
const host = @import("host.zig");
const Handle = @import("handle.zig").Handle;

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

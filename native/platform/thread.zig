//! Threads of the library's own, made by the C library of the process.

const libc = @import("libc.zig");
const process = @import("sys/process.zig");
const root = @import("root");

const Attributes = extern struct { bytes: [128]u8 align(16) };
const AttributesInit = *const fn (*Attributes) callconv(.c) c_int;
const AttributesSetInt = *const fn (*Attributes, c_int) callconv(.c) c_int;
const AttributesSetSize = *const fn (*Attributes, usize) callconv(.c) c_int;
const AttributesDestroy = *const fn (*Attributes) callconv(.c) c_int;
const Body = *const fn (?*anyopaque) callconv(.c) ?*anyopaque;
const Create = *const fn (*usize, *const Attributes, Body, ?*anyopaque) callconv(.c) c_int;

/// The first is enough unless the process has large thread-local variables, which take space from the stack.
/// Untouched pages take no memory.
const stack_sizes = [_]usize{ 128 << 10, 1 << 20 };

/// Starts a thread that belongs to the process as a whole and ends with it. The process's signal handlers do
/// not run on it. False: the process has no C library, or may not have another thread.
pub fn spawn(body: Body, argument: ?*anyopaque) bool {
    if (comptime @hasDecl(root, "spawn_thread")) return root.spawn_thread(body, argument);
    const create = libc.function(Create, "pthread_create") orelse return false;
    const init = libc.function(AttributesInit, "pthread_attr_init") orelse return false;
    const set_detached = libc.function(AttributesSetInt, "pthread_attr_setdetachstate") orelse return false;
    const set_stack_size = libc.function(AttributesSetSize, "pthread_attr_setstacksize") orelse return false;
    const destroy = libc.function(AttributesDestroy, "pthread_attr_destroy") orelse return false;
    // The thread inherits the mask. The C library's own signals stay unblocked: `setuid` waits until each
    // thread has handled one (33 in glibc, 34 in musl).
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

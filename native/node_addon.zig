//! The addon for Node: it loads libraries and binds their functions, as `Deno.dlopen` and `bun:ffi` do for the
//! other runtimes. It knows nothing of Tandem, and keeps nothing but what it hands out, so that every thread
//! can load it.

const std = @import("std");
const host = @import("platform/libc.zig");
const napi = @import("node/napi.zig");
const bound = @import("node/bound.zig");
const Bound = bound.Bound;
const quick = @import("node/quick.zig");
const Quick = quick.Quick;

pub const panic = @import("platform/panic.zig");

/// Compared by src/runtime/node_addon.ts. Increase it with every change of what JavaScript sees.
const version: u32 = 3;

export fn napi_register_module_v1(env: napi.Env, exports: napi.Value) ?napi.Value {
    const functions = [_]struct { [:0]const u8, napi.Callback }{
        .{ "open", &open },
        .{ "bind", &bind },
        .{ "bindQuick", &bind_quick },
        .{ "address", &address_of },
        .{ "mapping", &mapping },
        .{ "interruption", &interruption },
    };
    inline for (functions) |named| {
        const name, const callback = named;
        var function: napi.Value = undefined;
        if (napi.napi_create_function(env, name.ptr, name.len, callback, null, &function) != .ok) return null;
        if (napi.napi_set_named_property(env, exports, name, function) != .ok) return null;
    }
    var number: napi.Value = undefined;
    if (napi.napi_create_uint32(env, version, &number) != .ok) return null;
    if (napi.napi_set_named_property(env, exports, "version", number) != .ok) return null;
    return exports;
}

const Open = *const fn ([*:0]const u8, c_int) callconv(.c) ?*anyopaque;
const Symbol = *const fn (*anyopaque, [*:0]const u8) callconv(.c) ?*const anyopaque;
const Reason = *const fn () callconv(.c) ?[*:0]const u8;
const Allocate = *const fn (usize) callconv(.c) ?*anyopaque;
const Free = *const fn (?*anyopaque) callconv(.c) void;

const path_bytes = 4096;
const name_bytes = 128;

/// open(path): loads a library for the life of the process, and returns its handle, a bigint.
fn open(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    const values = arguments(1, env, info) orelse return null;
    var path: [path_bytes]u8 = undefined;
    const text = string(env, values[0], &path) orelse return null;
    const dlopen = host.function(Open, "dlopen") orelse return fail(env, "this process cannot load libraries");
    const now = 2;
    const library = dlopen(text, now) orelse return fail(env, reason());
    var result: napi.Value = undefined;
    if (napi.napi_create_bigint_uint64(env, @intFromPtr(library), &result) != .ok) return null;
    return result;
}

fn reason() [*:0]const u8 {
    const dlerror = host.function(Reason, "dlerror") orelse return "unknown";
    return dlerror() orelse "unknown";
}

/// bind(library, name, signature): a function of a library.
fn bind(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    return bind_as(env, info, false);
}

/// bindQuick(library, name, signature): a function that finds its arguments in its property `block`, an
/// `ArrayBuffer`, and leaves its result there.
fn bind_quick(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    return bind_as(env, info, true);
}

const Kept = union { bound: Bound, quick: Quick };

fn bind_as(env: napi.Env, info: napi.CallbackInfo, is_quick: bool) ?napi.Value {
    const values = arguments(3, env, info) orelse return null;
    var handle: u64 = 0;
    var is_exact = false;
    if (napi.napi_get_value_bigint_uint64(env, values[0], &handle, &is_exact) != .ok or handle == 0) {
        return fail(env, "bind() takes the result of open()");
    }
    var name_buffer: [name_bytes]u8 = undefined;
    const name = string(env, values[1], &name_buffer) orelse return null;
    var signature_buffer: [bound.parameters_max + 8]u8 = undefined;
    const signature = string(env, values[2], &signature_buffer) orelse return null;

    const dlsym = host.function(Symbol, "dlsym") orelse return fail(env, "this process cannot look up functions");
    const address = dlsym(@ptrFromInt(handle), name) orelse return fail(env, reason());
    const target = Bound.init(address, std.mem.span(signature)) orelse return fail(env, "no such signature");

    const malloc = host.function(Allocate, "malloc") orelse return fail(env, "this process has no malloc()");
    const kept: *Kept = @ptrCast(@alignCast(malloc(@sizeOf(Kept)) orelse return fail(env, "out of memory")));
    var block: napi.Value = undefined;
    if (is_quick) {
        var memory: ?*anyopaque = null;
        const status = napi.napi_create_arraybuffer(env, @sizeOf(quick.Block), &memory, &block);
        const prepared = if (status == .ok) Quick.init(target, @ptrCast(@alignCast(memory))) else null;
        kept.* = .{ .quick = prepared orelse {
            release(env, kept, null);
            return fail(env, "a function of this signature is bound by bind()");
        } };
    } else {
        kept.* = .{ .bound = target };
    }
    const callback: napi.Callback = if (is_quick) &quick.invoke else &bound.invoke;
    var function: napi.Value = undefined;
    if (napi.napi_create_function(env, name, std.mem.len(name), callback, kept, &function) != .ok or
        napi.napi_add_finalizer(env, function, kept, &release, null, null) != .ok)
    {
        release(env, kept, null);
        return null;
    }
    // So the block lives as long as the function.
    if (is_quick and napi.napi_set_named_property(env, function, "block", block) != .ok) return null;
    return function;
}

/// address(view): where the bytes of an `ArrayBufferView` are. They stay there until its buffer is detached,
/// also if V8 has kept them on its heap until now.
fn address_of(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    const values = arguments(1, env, info) orelse return null;
    const address = bound.address_of(env, values[0]) orelse return null;
    var result: napi.Value = undefined;
    return if (napi.napi_create_double(env, @floatFromInt(address), &result) == .ok) result else null;
}

fn release(_: napi.Env, data: ?*anyopaque, _: ?*anyopaque) callconv(.c) void {
    const free = host.function(Free, "free") orelse return;
    free(data);
}

/// mapping(address, byteLength): an `ArrayBuffer` over memory that is mapped.
fn mapping(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    const values = arguments(2, env, info) orelse return null;
    var numbers: [2]f64 = @splat(0);
    for (values, &numbers) |value, *number| {
        if (napi.napi_get_value_double(env, value, number) != .ok) return fail(env, "mapping() takes two numbers");
    }
    const address: ?*anyopaque = @ptrFromInt(std.math.lossyCast(usize, numbers[0]));
    const length = std.math.lossyCast(usize, numbers[1]);
    var result: napi.Value = undefined;
    if (napi.napi_create_external_arraybuffer(env, address, length, null, null, &result) != .ok) {
        return fail(env, "this runtime makes no ArrayBuffer over memory of others");
    }
    return result;
}

/// interruption(out): the address of a function that a native function of this thread calls while it blocks,
/// and that of its argument. The result is not 0 when Node wants the thread to end: a Worker is terminated, or the
/// process ends, which waits for its threads.
fn interruption(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    const values = arguments(1, env, info) orelse return null;
    var address: ?*anyopaque = null;
    var length: usize = 0;
    var numbers: [2]f64 = .{ @floatFromInt(@intFromPtr(&is_ending)), @floatFromInt(@intFromPtr(env)) };
    const found = napi.napi_get_buffer_info(env, values[0], &address, &length);
    if (found != .ok or length < @sizeOf(@TypeOf(numbers))) return fail(env, "interruption() takes a Float64Array");
    const out: [*]u8 = @ptrCast(address.?);
    @memcpy(out[0..@sizeOf(@TypeOf(numbers))], std.mem.asBytes(&numbers));
    return null;
}

fn is_ending(argument: ?*anyopaque) callconv(.c) u32 {
    const env: napi.Env = @ptrCast(argument.?);
    var scope: napi.HandleScope = undefined;
    if (napi.napi_open_handle_scope(env, &scope) != .ok) return 1;
    defer _ = napi.napi_close_handle_scope(env, scope);
    var value: napi.Value = undefined;
    if (napi.napi_get_global(env, &value) != .ok) return 1;
    return @intFromBool(napi.napi_coerce_to_bool(env, value, &value) != .ok);
}

fn arguments(comptime count: usize, env: napi.Env, info: napi.CallbackInfo) ?[count]napi.Value {
    var found: usize = count;
    var values: [count]napi.Value = undefined;
    var data: ?*anyopaque = null;
    if (napi.napi_get_cb_info(env, info, &found, &values, null, &data) != .ok) return null;
    return values;
}

/// A text that fits, ended by a zero. Null: an exception is pending.
fn string(env: napi.Env, value: napi.Value, buffer: []u8) ?[*:0]const u8 {
    var length: usize = 0;
    if (napi.napi_get_value_string_utf8(env, value, null, 0, &length) != .ok) return refuse(env, "not a text");
    if (length >= buffer.len) return refuse(env, "a text is too long");
    if (napi.napi_get_value_string_utf8(env, value, buffer.ptr, buffer.len, &length) != .ok) return null;
    if (std.mem.indexOfScalar(u8, buffer[0..length], 0) != null) return refuse(env, "a text contains a zero");
    buffer[length] = 0;
    return @ptrCast(buffer.ptr);
}

fn refuse(env: napi.Env, message: [*:0]const u8) ?[*:0]const u8 {
    _ = fail(env, message);
    return null;
}

fn fail(env: napi.Env, message: [*:0]const u8) ?napi.Value {
    _ = napi.napi_throw_error(env, null, message);
    return null;
}

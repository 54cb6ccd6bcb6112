//! The part of Node-API in use, version 8, declared by hand: building needs no headers of Node. The process
//! that loads the addon has these functions.
//! https://nodejs.org/api/n-api.html

pub const Env = *opaque {};
pub const Value = *opaque {};
pub const CallbackInfo = *opaque {};
pub const Callback = *const fn (Env, CallbackInfo) callconv(.c) ?Value;
pub const HandleScope = *opaque {};
pub const Finalizer = *const fn (Env, ?*anyopaque, ?*anyopaque) callconv(.c) void;

/// Other numbers are other failures.
pub const Status = enum(c_int) { ok = 0, _ };

pub extern fn napi_get_cb_info(Env, CallbackInfo, *usize, [*]Value, ?*?Value, *?*anyopaque) Status;
pub extern fn napi_get_value_double(Env, Value, *f64) Status;
pub extern fn napi_get_value_bigint_uint64(Env, Value, *u64, *bool) Status;
pub extern fn napi_get_value_string_utf8(Env, Value, ?[*]u8, usize, *usize) Status;
/// Takes every kind of `ArrayBufferView`.
pub extern fn napi_get_buffer_info(Env, Value, *?*anyopaque, *usize) Status;
pub extern fn napi_create_double(Env, f64, *Value) Status;
pub extern fn napi_create_int32(Env, i32, *Value) Status;
pub extern fn napi_create_uint32(Env, u32, *Value) Status;
pub extern fn napi_create_bigint_uint64(Env, u64, *Value) Status;
pub extern fn napi_create_arraybuffer(Env, usize, *?*anyopaque, *Value) Status;
pub extern fn napi_create_function(Env, ?[*]const u8, usize, Callback, ?*anyopaque, *Value) Status;
pub extern fn napi_create_external_arraybuffer(Env, ?*anyopaque, usize, ?Finalizer, ?*anyopaque, *Value) Status;
pub extern fn napi_add_finalizer(Env, Value, ?*anyopaque, Finalizer, ?*anyopaque, ?*anyopaque) Status;
pub extern fn napi_open_handle_scope(Env, *HandleScope) Status;
pub extern fn napi_close_handle_scope(Env, HandleScope) Status;
pub extern fn napi_get_global(Env, *Value) Status;
/// Fails where the thread may run no more code.
pub extern fn napi_coerce_to_bool(Env, Value, *Value) Status;
pub extern fn napi_set_named_property(Env, Value, [*:0]const u8, Value) Status;
pub extern fn napi_throw_error(Env, ?[*:0]const u8, [*:0]const u8) Status;
pub extern fn napi_throw_type_error(Env, ?[*:0]const u8, [*:0]const u8) Status;

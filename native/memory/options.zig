//! The options that a channel is opened with.

const layout = @import("layout.zig");
const abi = @import("../abi.zig");
const Error = abi.Error;
const Control = abi.Control;

pub const Options = struct {
    kind: layout.Kind,
    slots: ?u64,
    max_request_bytes: ?u64,
    max_response_bytes: ?u64,
    max_deliveries: ?u64,
    mode: u32,

    pub const slots_default = 256;
    pub const payload_bytes_default = 1 << 20;
    pub const mode_default = 0o600;

    /// Matches every channel of this kind.
    pub fn of_kind(kind: layout.Kind) Options {
        return .{
            .kind = kind,
            .slots = null,
            .max_request_bytes = null,
            .max_response_bytes = null,
            .max_deliveries = null,
            .mode = mode_default,
        };
    }

    pub fn geometry(options: *const Options, control: *Control) Error!layout.Geometry {
        if (options.kind == .limit) return .of_limit;
        return layout.Geometry.init(
            options.kind,
            options.slots orelse slots_default,
            options.max_request_bytes orelse default_bytes(options.kind),
            options.max_response_bytes orelse default_bytes(options.kind),
            options.max_deliveries orelse 1,
        ) catch {
            control.fail(.geometry_too_large, 0);
            return error.TooLarge;
        };
    }
};

/// A 64-bit value is a payload of eight bytes.
fn default_bytes(kind: layout.Kind) u64 {
    return if (kind == .int) @sizeOf(u64) else Options.payload_bytes_default;
}

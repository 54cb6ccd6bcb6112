//! How arguments and results of the exports travel. Handles are doubles, because an address fits in one and
//! all runtimes pass doubles in a register; 64-bit values go through the control block.

const abi = @import("../abi.zig");
const numbers = @import("../numbers.zig");
const slots = @import("../protocol/slots.zig");
const Control = abi.Control;
const handles = @import("../handle.zig");
const Handle = handles.Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const TableBounds = @import("../protocol/table_bounds.zig").TableBoundsType(Shared);

pub fn handle_at(address: f64) *Handle {
    return @ptrFromInt(numbers.address(address));
}

pub fn interruption_of(options: *const abi.Options) handles.Interruption {
    const ask = numbers.address(options.interrupt);
    if (ask == 0) return .{};
    return .{ .ask = @ptrFromInt(ask), .argument = @ptrFromInt(numbers.address(options.interrupt_argument)) };
}

pub fn call_of(slot: u32, generation_low: u32, generation_high: u32) slots.Call {
    return .{ .slot = slot, .generation = @truncate(@as(u64, generation_high) << 32 | generation_low) };
}

/// A call that a process names. Its slot comes from an id, so it may be any number.
pub fn known_call(handle: *Handle, slot: u32, generation_low: u32, generation_high: u32) ?slots.Call {
    if (!TableBounds.has_slot(handle, slot)) return null;
    return call_of(slot, generation_low, generation_high);
}

pub fn failed(err: abi.Error) i32 {
    return abi.status_of(err).result();
}

pub fn set_call(control: *Control, call: slots.Call) void {
    const generation: u64 = call.generation;
    control.slot = call.slot;
    control.generation_low = @truncate(generation);
    control.generation_high = @truncate(generation >> 32);
}

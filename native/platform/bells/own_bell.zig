//! The bell of a process's own event loop, and the descriptor through which its own waker rings it. If the
//! folder of bells cannot be used, the bell has no name, and only the waker rings it.

const abi = @import("../../abi.zig");
const files = @import("../sys/files.zig");
const names = @import("names.zig");
const sockets = @import("../sys/sockets.zig");
const Bells = @import("bells.zig").Bells;

pub const OwnBell = struct {
    /// The event loop polls this one, and owns it.
    loop: i32,
    /// The waker writes here; it closes the descriptor itself. -1: there was no descriptor left for it.
    waker: i32,
    /// Others find the bell by its name.
    is_named: bool,
};

pub fn make(bells: *Bells, kind: u32) ?OwnBell {
    return switch (kind) {
        abi.bell_fifo => make_fifo(bells),
        abi.bell_datagram => make_datagram(bells),
        else => null,
    };
}

fn make_fifo(bells: *Bells) ?OwnBell {
    if (bells.make_fifo(names.bell_letter)) |loop| return .{ .loop = loop, .waker = writer_of(loop), .is_named = true };
    const loop = make_pipe() orelse return null;
    return .{ .loop = loop, .waker = writer_of(loop), .is_named = false };
}

/// A descriptor with a description of its own, which the event loop's changes to its own do not affect.
fn writer_of(fifo: i32) i32 {
    const writer = files.reopen(fifo, files.o_wronly | files.o_nonblock);
    return if (writer.ok()) writer.fd() else -1;
}

/// A pipe that is read and written through one descriptor, as a FIFO can be: Deno's loop rings itself.
pub fn make_pipe() ?i32 {
    var ends: [2]i32 = undefined;
    if (!files.pipe(&ends).ok()) return null;
    defer for (ends) |end| files.close(end);
    const both = files.reopen(ends[0], files.o_rdwr | files.o_nonblock);
    return if (both.ok()) both.fd() else null;
}

/// One end of a pair. It takes datagrams from the other end, and by its name from any process.
fn make_datagram(bells: *Bells) ?OwnBell {
    var ends: [2]i32 = undefined;
    if (!sockets.open_pair(&ends).ok()) {
        // One descriptor may be left where two are not.
        const lone = sockets.open();
        if (!lone.ok()) return null;
        if (bells.bind_bell(lone.fd())) return .{ .loop = lone.fd(), .waker = -1, .is_named = true };
        files.close(lone.fd());
        return null;
    }
    const loop, const waker = ends;
    if (!sockets.disconnect(loop).ok()) {
        for (ends) |end| files.close(end);
        return null;
    }
    // It reports the disconnection once, and is still connected.
    sockets.clear_error(waker);
    return .{ .loop = loop, .waker = waker, .is_named = bells.bind_bell(loop) };
}

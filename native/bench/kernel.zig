//! The kernel's own means for the same task: blocking echo between two processes, one write and one read each
//! way. The predecessor of this library compares itself with these figures.

const std = @import("std");
const linux = std.os.linux;
const files = @import("../platform/sys/files.zig");
const driver = @import("driver.zig");

pub const Transport = enum { pipe, socketpair, broker, tcp, sysv };

pub fn run(transport: Transport) !void {
    switch (transport) {
        .sysv => {
            var queue = try Queue.start();
            defer queue.remove();
            try driver.drive(&queue);
        },
        else => {
            var stream = try start(transport);
            try driver.drive(&stream);
        },
    }
}

/// A stream of bytes to another process, and one back.
const Stream = struct {
    in: i32,
    out: i32,

    /// Both sides know the length of a message here, as in the predecessor's figures; a real protocol pays
    /// for a header as well.
    pub fn call(stream: *Stream, payload: []const u8, answer: []u8) !void {
        try write_all(stream.out, payload);
        if (!read_all(stream.in, answer)) return error.ConductorGone;
    }

    /// Echoes all messages for the rest of the process.
    fn echo(stream: Stream) noreturn {
        forward(stream.in, stream.out);
        linux.exit(0);
    }
};

/// Forwards everything until the end of the input.
fn forward(in: i32, out: i32) void {
    const buffer = struct {
        var bytes: [driver.bytes_max]u8 = undefined;
    };
    while (true) {
        const got = files.read(in, &buffer.bytes);
        if (!got.ok() or got.value == 0) return;
        write_all(out, buffer.bytes[0..got.value]) catch return;
    }
}

fn write_all(fd: i32, bytes: []const u8) !void {
    var rest = bytes;
    while (rest.len > 0) {
        const written = files.write(fd, rest);
        if (!written.ok()) return error.CannotWrite;
        rest = rest[written.value..];
    }
}

fn read_all(fd: i32, bytes: []u8) bool {
    var rest = bytes;
    while (rest.len > 0) {
        const got = files.read(fd, rest);
        if (!got.ok() or got.value == 0) return false;
        rest = rest[got.value..];
    }
    return true;
}

fn check(result: usize) !void {
    if (linux.errno(result) != .SUCCESS) return error.SystemCall;
}

/// True in the new process, which ends with this one.
fn fork() !bool {
    const pid = linux.fork();
    try check(pid);
    if (pid == 0) driver.end_with_parent(.KILL);
    return pid == 0;
}

fn pipe() ![2]i32 {
    var fds: [2]i32 = undefined;
    try check(linux.pipe2(&fds, .{ .CLOEXEC = true }));
    return fds;
}

fn socketpair() ![2]i32 {
    var fds: [2]i32 = undefined;
    try check(linux.socketpair(linux.AF.UNIX, linux.SOCK.STREAM | linux.SOCK.CLOEXEC, 0, &fds));
    return fds;
}

fn start(transport: Transport) !Stream {
    switch (transport) {
        .pipe => {
            const there = try pipe();
            const back = try pipe();
            if (try fork()) Stream.echo(.{ .in = there[0], .out = back[1] });
            return .{ .in = back[0], .out = there[1] };
        },
        .socketpair => {
            const pair = try socketpair();
            if (try fork()) Stream.echo(.{ .in = pair[1], .out = pair[1] });
            return .{ .in = pair[0], .out = pair[0] };
        },
        .broker => {
            const to_client = try socketpair();
            const to_server = try socketpair();
            if (try fork()) Stream.echo(.{ .in = to_server[1], .out = to_server[1] });
            if (try fork()) broker(to_client[1], to_server[0]);
            return .{ .in = to_client[0], .out = to_client[0] };
        },
        .tcp => return start_tcp(),
        .sysv => unreachable,
    }
}

/// Forwards between a client and a server, in both directions.
fn broker(client: i32, server: i32) noreturn {
    const readable: i16 = 1;
    const buffer = struct {
        var bytes: [driver.bytes_max]u8 = undefined;
    };
    const other = [_]i32{ server, client };
    var polled = [_]linux.pollfd{
        .{ .fd = client, .events = readable, .revents = 0 },
        .{ .fd = server, .events = readable, .revents = 0 },
    };
    while (true) {
        check(linux.poll(&polled, polled.len, -1)) catch linux.exit(1);
        for (&polled, other) |*from, to| {
            if (from.revents == 0) continue;
            const got = files.read(from.fd, &buffer.bytes);
            if (!got.ok() or got.value == 0) linux.exit(0);
            write_all(to, buffer.bytes[0..got.value]) catch linux.exit(0);
        }
    }
}

/// Through the loop-back device, without the delay that collects small packets.
fn start_tcp() !Stream {
    const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC;
    const listener = linux.socket(linux.AF.INET, kind, 0);
    try check(listener);
    var address: linux.sockaddr.in = .{
        .port = 0,
        .addr = std.mem.nativeToBig(u32, 0x7f00_0001),
    };
    var length: linux.socklen_t = @sizeOf(linux.sockaddr.in);
    try check(linux.bind(@intCast(listener), @ptrCast(&address), length));
    try check(linux.listen(@intCast(listener), 1));
    try check(linux.getsockname(@intCast(listener), @ptrCast(&address), &length));
    const client = linux.socket(linux.AF.INET, kind, 0);
    try check(client);
    try check(linux.connect(@intCast(client), @ptrCast(&address), length));
    const server = linux.accept4(@intCast(listener), null, null, linux.SOCK.CLOEXEC);
    try check(server);
    files.close(@intCast(listener));
    for ([_]usize{ client, server }) |socket| {
        const on: i32 = 1;
        try check(linux.setsockopt(
            @intCast(socket),
            linux.IPPROTO.TCP,
            linux.TCP.NODELAY,
            std.mem.asBytes(&on),
            @sizeOf(i32),
        ));
    }
    const own: i32 = @intCast(server);
    if (try fork()) Stream.echo(.{ .in = own, .out = own });
    return .{ .in = @intCast(client), .out = @intCast(client) };
}

/// A System V message queue: a request has type 1, an answer type 2. Its messages are short.
const Queue = struct {
    id: usize,

    const Message = extern struct {
        type: c_long,
        bytes: [bytes_max]u8,

        const bytes_max = 8192;
    };

    fn start() !Queue {
        const private = 0;
        const create_for_owner = 0o1000 | 0o600;
        const id = linux.syscall2(.msgget, private, create_for_owner);
        try check(id);
        const queue: Queue = .{ .id = id };
        errdefer queue.remove();
        if (try fork()) queue.serve();
        return queue;
    }

    /// A queue outlives its processes: this side removes it when the other side is killed.
    fn serve(queue: Queue) noreturn {
        const action: linux.Sigaction = .{
            .handler = .{ .handler = interrupted },
            .mask = linux.sigemptyset(),
            .flags = 0,
        };
        check(linux.sigaction(.TERM, &action, null)) catch linux.exit(1);
        driver.end_with_parent(.TERM);
        var message: Message = undefined;
        while (true) {
            const length = queue.receive(1, &message) catch break;
            message.type = 2;
            queue.send(&message, length) catch break;
        }
        queue.remove();
        linux.exit(0);
    }

    fn interrupted(_: linux.SIG) callconv(.c) void {}

    fn remove(queue: Queue) void {
        const remove_id = 0;
        _ = linux.syscall3(.msgctl, queue.id, remove_id, 0);
    }

    fn send(queue: Queue, message: *const Message, length: usize) !void {
        try check(linux.syscall4(.msgsnd, queue.id, @intFromPtr(message), length, 0));
    }

    fn receive(queue: Queue, message_type: usize, message: *Message) !usize {
        const address = @intFromPtr(message);
        const length = linux.syscall5(.msgrcv, queue.id, address, Message.bytes_max, message_type, 0);
        try check(length);
        return length;
    }

    pub fn call(queue: *Queue, payload: []const u8, answer: []u8) !void {
        var message: Message = undefined;
        if (payload.len > Message.bytes_max) return error.TooLong;
        message.type = 1;
        @memcpy(message.bytes[0..payload.len], payload);
        try queue.send(&message, payload.len);
        if (try queue.receive(2, &message) != answer.len) return error.NotAnEcho;
        @memcpy(answer, message.bytes[0..answer.len]);
    }
};

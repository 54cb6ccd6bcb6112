//! One run: a channel in an ordinary state, a change in it, then a participant that opens it, while all
//! participants do anything that is possible. The seed determines all of it.

const std = @import("std");
const abi = @import("../../abi.zig");
const fields = @import("fields.zig");
const library = @import("library.zig");
const memory = @import("memory.zig");
const segment = @import("../../memory/segment.zig");
const files = @import("../../platform/sys/files.zig");
const actor_file = @import("actor.zig");
const Actor = actor_file.Actor;
const Path = @import("../../platform/target.zig").Path;

/// The totals of all runs, in memory that survives the process of a batch.
pub const Report = struct {
    /// The seed of the current run.
    seed: u64,
    runs: u64,
    deaths: u64,
    file_changes: u64,
    tally: actor_file.Tally,
    scribbles: [fields.table.len]u64,
};

const actors_max = 6;

const Run = struct {
    random: std.Random,
    report: *Report,
    path: Path,
    kind: u32,
    actors: [actors_max]Actor = undefined,
    count: usize = 0,

    /// Opens a handle on the channel, by path or through a descriptor.
    fn open(run: *Run, operation: u32, options: *const abi.Options) i32 {
        const server = run.kind != abi.open_kind_limit and run.random.boolean();
        const role = if (server) abi.open_role_server else 0;
        var control: abi.Control = .{};
        var path: [4096]u8 = undefined;
        const target = run.path.slice();
        actor_file.begin();
        const result = library.tandem_open(target.ptr, @intCast(target.len), operation | role | run.kind, options, &control, &path);
        run.report.tally[@backingInt(actor_file.Operation.open)][actor_file.outcome_of(result)] += 1;
        if (std.enums.fromInt(abi.Detail, control.detail) == null) @panic("an unknown detail of an error");
        if (result < 0) return result;
        run.actors[run.count] = .init(control, server, run.random, &run.report.tally);
        run.count += 1;
        return result;
    }

    fn attach(run: *Run) void {
        if (run.count == actors_max) return;
        var options = nothing_asked;
        if (run.count > 0 and run.random.uintLessThan(u8, 3) == 0) {
            options.fd = @floatFromInt(run.actors[0].native.fd);
            _ = run.open(abi.open_from_fd, &options);
        } else {
            _ = run.open(if (run.random.boolean()) abi.open_or_create else 0, &options);
        }
    }

    fn steps(run: *Run, count: u32) void {
        for (0..count) |_| {
            if (run.count == 0) return;
            const index = run.random.uintLessThan(usize, run.count);
            switch (run.random.uintLessThan(u8, 60)) {
                0 => run.attach(),
                1 => if (run.count > 1) run.remove(index, .close),
                2 => if (run.count > 1) run.remove(index, .die),
                else => run.actors[index].act(),
            }
        }
    }

    fn remove(run: *Run, index: usize, ending: enum { close, die }) void {
        // The scribbling goes through the first mapping.
        if (index == 0) return;
        switch (ending) {
            .close => run.actors[index].close(),
            .die => {
                run.actors[index].die();
                run.report.deaths += 1;
            },
        }
        run.count -= 1;
        run.actors[index] = run.actors[run.count];
    }

    /// All participants leave, while the scribbling continues except through the first mapping.
    fn end(run: *Run) void {
        while (run.count > 1) run.remove(run.count - 1, if (run.random.boolean()) .close else .die);
        memory.state.map = null;
        memory.state.scribble_every = 0;
        if (run.count == 1) run.actors[0].close();
        run.count = 0;
    }

    /// Changes the file itself: other lengths, other bytes, holes.
    fn change_file(run: *Run) void {
        run.report.file_changes += 1;
        const opened = files.open(run.path.text(), files.o_rdwr | files.o_cloexec, 0);
        if (!opened.ok()) return;
        defer files.close(opened.fd());
        const info = switch (files.stat(opened.fd(), "")) {
            .info => |info| info,
            .errno => return,
        };
        switch (run.random.uintLessThan(u8, 4)) {
            0 => _ = files.ftruncate(opened.fd(), run.random.uintLessThan(u64, info.size + 1)),
            1 => _ = files.ftruncate(opened.fd(), info.size + run.random.uintLessThan(u64, 1 << 20)),
            2 => {
                // Zeros up to some offset: like the leftover of an interrupted create.
                _ = files.ftruncate(opened.fd(), if (run.random.boolean()) 0 else run.random.uintLessThan(u64, 200));
                _ = files.ftruncate(opened.fd(), info.size);
            },
            else => {
                _ = files.ftruncate(opened.fd(), 0);
                var garbage: [8192]u8 = undefined;
                run.random.bytes(&garbage);
                _ = files.write(opened.fd(), garbage[0..run.random.uintLessThan(usize, garbage.len)]);
                if (run.random.boolean()) _ = files.ftruncate(opened.fd(), info.size);
            },
        }
    }

    fn start_limit_anew(run: *Run) void {
        const target = run.path.slice();
        var control: abi.Control = .{};
        var path: [4096]u8 = undefined;
        const made = library.tandem_open(target.ptr, @intCast(target.len), abi.open_create_new | abi.open_kind_limit, &nothing_asked, &control, &path);
        if (made < 0) @panic("no new limit can be made in place of the old one");
        var one: Actor = .init(control, false, run.random, &run.report.tally);
        if (library.tandem_open(target.ptr, @intCast(target.len), abi.open_kind_limit, &nothing_asked, &control, &path) < 0) {
            @panic("the new limit cannot be opened");
        }
        var other: Actor = .init(control, false, run.random, &run.report.tally);
        take_in_turn(&one, &other);
        one.close();
        other.close();
        _ = library.tandem_unlink(target.ptr, @intCast(target.len), &control);
    }

    /// The old file goes, whatever it is, and a new channel of that name works.
    fn start_anew(run: *Run) void {
        const target = run.path.slice();
        var control: abi.Control = .{};
        actor_file.begin();
        const unlinked = library.tandem_unlink(target.ptr, @intCast(target.len), &control);
        run.report.tally[@backingInt(actor_file.Operation.unlink)][actor_file.outcome_of(unlinked)] += 1;
        // A file that is no longer a channel is left to its owner.
        if (unlinked < 0) _ = files.unlinkat(-100, run.path.text(), 0);
        const is_limit = run.kind == abi.open_kind_limit;
        run.kind = 0;
        if (is_limit) return run.start_limit_anew();
        var options = nothing_asked;
        const role = abi.open_role_server;
        var path: [4096]u8 = undefined;
        const opened = library.tandem_open(target.ptr, @intCast(target.len), abi.open_create_new | role, &options, &control, &path);
        if (opened < 0) @panic("no new channel can be made in location of the old one");
        var server: Actor = .init(control, true, run.random, &run.report.tally);
        if (library.tandem_open(target.ptr, @intCast(target.len), 0, &options, &control, &path) < 0) {
            @panic("the new channel cannot be opened");
        }
        var client: Actor = .init(control, false, run.random, &run.report.tally);
        call_once(&client, &server);
        client.close();
        server.close();
        _ = library.tandem_unlink(target.ptr, @intCast(target.len), &control);
    }
};

fn take_in_turn(one: *Actor, other: *Actor) void {
    const none = abi.limit_no_standby;
    if (library.tandem_limit_request(one.address, 0, none, &one.control) != 1) @panic("a new limit has no place");
    if (library.tandem_limit_request(other.address, 0, none, &other.control) != 0) @panic("a new limit has two places");
    if (library.tandem_limit_release(one.address) != 1) @panic("a place is lost in a new limit");
    if (library.tandem_limit_look(other.address, &other.control) != 1) @panic("a released place is not passed on");
    if (library.tandem_limit_release(other.address) != 1) @panic("a place that was passed on is lost");
}

fn call_once(client: *Actor, server: *Actor) void {
    const text = "does it work?";
    const sent = library.tandem_send(client.address, text, text.len, 0, 1000, &client.control);
    const call = client.control;
    const received = library.tandem_receive(server.address, 0, &server.control);
    if (sent <= 0 or received != 1) @panic("a request does not arrive in the new channel");
    const taken = server.control;
    if (library.tandem_reply(server.address, taken.slot, taken.generation_low, taken.generation_high, text, text.len, 0) != 1) {
        @panic("the answer has no client in the new channel");
    }
    var out: [text.len]u8 = undefined;
    const got = library.tandem_get(client.address, call.slot, call.generation_low, call.generation_high, 0, &out, out.len, &client.control);
    if (got != text.len or !std.mem.eql(u8, &out, text)) @panic("an answer is wrong in the new channel");
}

const nothing_asked: abi.Options = .{};

pub fn once(folder: []const u8, seed: u64, report: *Report) void {
    var generator: std.Random.DefaultPrng = .init(seed);
    const random = generator.random();
    memory.state = .{ .random = random, .scribbles = &report.scribbles };
    var run: Run = .{ .random = random, .report = report, .path = .init(), .kind = 0 };
    run.path.print("{s}/{d}.tandem", .{ folder, seed }) catch unreachable;

    var options = nothing_asked;
    const kind = random.uintLessThan(u8, 8);
    if (kind == 0) {
        run.kind = abi.open_kind_int;
    } else if (kind <= 2) {
        run.kind = abi.open_kind_limit;
    } else {
        options.max_request_bytes = size(random);
        options.max_response_bytes = size(random);
    }
    if (run.kind != abi.open_kind_limit) {
        options.slots = slot_count(random);
        options.max_deliveries = @floatFromInt(1 + random.uintLessThan(u32, 31));
    }
    if (run.open(abi.open_create_new, &options) < 0) @panic("no channel can be made");
    for (0..random.uintLessThan(usize, 4)) |_| run.attach();
    run.steps(random.uintLessThan(u32, 100));

    memory.state.map = run.actors[0].native.map;
    for (0..random.uintLessThan(usize, 40)) |_| memory.scribble();
    const rates = [_]u32{ 0, 0, 3, 30, 300, 3000 };
    memory.state.scribble_every = rates[random.uintLessThan(usize, rates.len)];
    run.attach();
    run.steps(random.uintLessThan(u32, 200));
    run.end();

    // From here on the file may be shorter than its mappings, because no handle has one.
    if (random.uintLessThan(u8, 4) == 0) {
        run.change_file();
        run.attach();
        run.steps(random.uintLessThan(u32, 20));
        run.end();
    }
    run.start_anew();
    report.runs += 1;
}

fn slot_count(random: std.Random) f64 {
    // This finds code whose cost grows quadratically.
    if (random.uintLessThan(u8, 50) == 0) return 65_536;
    return ([_]f64{ 1, 2, 3, 8, 64, 1025 })[random.uintLessThan(usize, 6)];
}

fn size(random: std.Random) f64 {
    const sizes = [_]f64{ 0, 1, 8, 96, 97, 120, 121, 1000, 1024, 4096, 5000, 8000 };
    return sizes[random.uintLessThan(usize, sizes.len)];
}

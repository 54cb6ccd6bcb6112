//! What the participants do: small programs of the library's own exports, put together as src/channel puts
//! them together.

const abi = @import("../../abi.zig");
const memory = @import("memory.zig");
const state = @import("state.zig");
const library = @import("library.zig");
const client = @import("client.zig");
const contender = @import("contender.zig");
const event_loop = @import("event_loop.zig");
const lifetime = @import("lifetime.zig");
const participant = @import("participant.zig");
const sentinel = @import("sentinel.zig");
const server = @import("server.zig");
const setup = @import("setup.zig");
const waker = @import("waker.zig");
const Model = memory.Model;
const Boards = @import("../../protocol/boards.zig").BoardsType(Model);
const Lifetime = @import("../../calls/lifetime.zig").LifetimeType(Model);

pub fn entry() callconv(.c) noreturn {
    const plan = &setup.plans[setup.current];
    if (plan.waker_of) |owner| waker.wake(owner);
    start(plan);
    for (plan.actions) |action| act(action);
    event_loop.idle();
}

fn start(plan: *const setup.Plan) void {
    const own = participant.self();
    own.handle = .{
        .map = .{ .base = &memory.memory, .geometry = state.geometry },
        .fd = -1,
        .role = plan.role,
        .bells = .{},
        .watched = &own.watched,
        .unreachable_epochs = &own.unreachable_epochs,
        .unresponsive = &own.unresponsive,
        .unwatchable = &own.unwatchable,
        .watched_blocking = &own.watched_blocking,
        // No descriptor of the real kernel: a blocking wait listens to the same bell as the loop.
        .blocking_bell = memory.notify_fd_first + @as(i32, setup.current),
        .calls = &own.calls,
        .positions = &own.positions,
        .hints = &own.hints,
        .committed = undefined,
        .large = undefined,
        .memory_bytes = 0,
        // A sweep is not due, except for the operations that never wait.
        .swept_ns = if (plan.has(.attempt)) 0 else participant.time_before,
        .pacing = .{ .spin_turns = 0 },
    };
    own.next_call = plan.first_call;
    if (!plan.late) participant.stage(1);
    if (plan.late) participant.stage(3);
    lifetime.join(plan);
    if (plan.late) return;
    participant.stage(2);
    if (!plan.blocks()) {
        event_loop.make_bell();
        event_loop.watch_all();
    }
    participant.stage(3);
}

fn act(action: setup.Action) void {
    switch (action) {
        .request, .request_abort, .request_timeout, .forward, .send => {
            client.request(action);
            if (action != .send) event_loop.run_loop();
        },
        .post => client.post(),
        .block, .block_timeout => client.block(action == .block_timeout),
        .attempt => client.attempt(),
        .draft => client.draft(),
        .discard => client.discard(),
        .clear => {
            participant.begin(.clear);
            _ = library.tandem_clear(participant.address());
        },
        .cancel => {
            participant.begin(.cancel);
            _ = library.tandem_cancel(participant.address(), 0, 1, 0, abi.cancel_keep_answer);
        },
        .sweep => {
            participant.begin(.sweep);
            _ = library.tandem_sweep(participant.address());
        },
        .remove => {
            participant.begin(.remove);
            Lifetime.remove(&participant.self().handle);
        },
        .lose_file => _ = memory.ask(.{ .kind = .lose_file }),
        .nothing => {},
        .watch_over, .watch_close => sentinel.watch_over(action == .watch_close),
        .rest => sentinel.watch_on(false),
        .await_departure => sentinel.await_departure(),
        .publish => {
            participant.begin(.notify);
            Boards.published(&participant.self().handle);
        },
        .await_board => sentinel.await_board(),
        .serve, .serve_close, .serve_last => server.serve(action == .serve_close),
        .serve_busy => server.serve_busy(),
        .serve_block => server.serve_block(),
        .serve_notify => server.serve_notify(),
        .close => lifetime.close(),
        .acquire, .acquire_timeout, .share, .share_timeout, .stand_by, .steal => contender.acquire(action),
        .acquire_sync, .acquire_sync_timeout => contender.acquire_sync(action),
        .try_acquire, .try_share => contender.attempt(action),
        .listen => contender.listen(),
        .release => contender.release(),
        .resize_1, .resize_2 => contender.resize(if (action == .resize_1) 1 else 2),
        .adopt_1, .adopt_2 => contender.adopt(if (action == .adopt_1) 1 else 2),
    }
}

//! A lock between the threads of this process. A thread that waits for it sleeps.

const futex = @import("sys/futex.zig");

pub const Lock = struct {
    /// 0: free, 1: taken, 2: a thread waits.
    word: u32 = 0,

    pub fn take(lock: *Lock) void {
        if (@cmpxchgStrong(u32, &lock.word, 0, 1, .acquire, .monotonic) == null) return;
        while (@atomicRmw(u32, &lock.word, .Xchg, 2, .acquire) != 0) futex.wait_private(&lock.word, 2);
    }

    pub fn give(lock: *Lock) void {
        if (@atomicRmw(u32, &lock.word, .Xchg, 0, .release) == 2) futex.wake_private(&lock.word);
    }
};

//! Functions of the C library of the process that loaded this one, whichever it is. They are looked
//! up when the library is loaded, and null where the process has none.

/// To be called where the function is needed: held in a constant, the compiler takes the address
/// of a weak symbol for one that is there.
pub inline fn function(comptime Function: type, comptime name: []const u8) ?Function {
    // A unit test is a static program without a C library, and so is a tool that says so.
    if (@import("builtin").is_test or @hasDecl(@import("root"), "is_static")) return null;
    var address = @extern(?Function, .{ .name = name, .linkage = .weak });
    _ = &address;
    return address;
}

//! Functions of the C library of the process that loaded this one. They are looked up when the library is
//! loaded, and null if the process has none.

/// Call it where the function is needed: if a constant held the result, the compiler would take the address
/// of a weak symbol for one that exists.
pub inline fn function(comptime Function: type, comptime name: []const u8) ?Function {
    // A unit test is a static program without a C library, and so is a tool that declares `is_static`.
    if (@import("builtin").is_test or @hasDecl(@import("root"), "is_static")) return null;
    var address = @extern(?Function, .{ .name = name, .linkage = .weak });
    _ = &address;
    return address;
}

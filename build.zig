//! Builds the native library, its unit tests, and the TypeScript that is generated from them.
//!
//!     zig build                          zig-out/lib/{x86_64,aarch64}/libtandem.so
//!     zig build test                     unit tests on this machine
//!     zig build test-arm64 -fqemu        unit tests on arm64, by emulation where needed
//!     zig build model                    zig-out/bin/tandem-model, which explores the protocol
//!     zig build bindings                 rewrites src/ffi/layout.ts
//!     zig build embed                    writes src/ffi/embedded.ts

const std = @import("std");
const builtin = @import("builtin");

/// Zig changes its build API and its language from one version to the next; another compiler than
/// this one would fail with errors that do not say why.
const required_zig = "0.17.1";

const soname = "libtandem-" ++ @import("build.zig.zon").version ++ ".so";

/// The architectures that the package ships a library for. The processor is the oldest of each.
const Arch = enum { x86_64, aarch64 };

pub fn build(b: *std.Build) void {
    // In the function and before anything else, so that it is the only error that is reported.
    comptime if (!std.mem.eql(u8, builtin.zig_version_string, required_zig)) {
        @compileError("Tandem is built with Zig " ++ required_zig ++ ", this is Zig " ++
            builtin.zig_version_string ++ "; run scripts/setup and use .tools/bin/zig");
    };

    const steps = .{
        .install = b.getInstallStep(),
        .@"test" = b.step("test", "Run the unit tests on this machine"),
        .test_arm64 = b.step("test-arm64", "Run the unit tests on arm64 (add -fqemu elsewhere)"),
        .bindings = b.step("bindings", "Generate src/ffi/layout.ts from native/bindings.zig"),
        .model = b.step("model", "Build the model checker of the protocol, zig-out/bin/tandem-model"),
        .embed = b.step("embed", "Generate src/ffi/embedded.ts from the libraries"),
    };
    const optimize = b.option(
        std.builtin.Optimize,
        "optimize",
        "Optimization of the library and of the unit tests",
    );
    const filters = b.option(
        []const []const u8,
        "test-filter",
        "Run only the unit tests whose name contains this",
    ) orelse &.{};

    const generated = b.addUpdateSourceFiles();
    const embed = b.addRunArtifact(addTool(b, "embed", "scripts/embed.zig"));
    embed.addArg(soname);
    inline for (comptime std.enums.values(Arch)) |arch| {
        const library = addLibrary(b, arch, optimize orelse .safe);
        const install = b.addInstallLibFile(library, @tagName(arch) ++ "/libtandem.so");
        steps.install.dependOn(&install.step);
        embed.addArg(@tagName(arch));
        embed.addFileArg(library);
    }
    generated.addCopyFileToSource(embed.captureStdOut(.{}), "src/ffi/embedded.ts");
    steps.embed.dependOn(&generated.step);

    const bindings = b.addRunArtifact(addTool(b, "bindings", "native/bindings.zig"));
    const layout = b.addUpdateSourceFiles();
    layout.addCopyFileToSource(bindings.captureStdOut(.{}), "src/ffi/layout.ts");
    steps.bindings.dependOn(&layout.step);

    steps.model.dependOn(&b.addInstallArtifact(addModel(b, optimize orelse .safe), .{}).step);

    // Here without optimization: compiled in a second, and a failure says where it is. On arm64 as it
    // is shipped: no other test runs that code.
    addTests(b, steps.@"test", b.graph.host, optimize orelse .debug, filters);
    addTests(b, steps.test_arm64, target(b, .aarch64), optimize orelse .safe, filters);
}

/// No libc: the same file is loaded by processes that use glibc and by processes that use musl.
fn target(b: *std.Build, arch: Arch) std.Build.ResolvedTarget {
    return b.resolveTargetQuery(.{
        .cpu_arch = switch (arch) {
            .x86_64 => .x86_64,
            .aarch64 => .aarch64,
        },
        .os_tag = .linux,
        .abi = .none,
    });
}

/// The library is compiled and linked in two steps because `std.Build` has no way to ask for
/// `-z nodelete`, and the compiler has. Deno unloads a library when a Worker ends; destructors of
/// thread-specific data that run later must still find their code.
fn addLibrary(b: *std.Build, comptime arch: Arch, optimize: std.builtin.Optimize) std.Build.LazyPath {
    const object = b.addObject(.{
        .name = "tandem-" ++ @tagName(arch),
        .root_module = b.createModule(.{
            .root_source_file = b.path("native/lib.zig"),
            .target = target(b, arch),
            .optimize = optimize,
            .strip = true,
            .pic = true,
            // The probe is a function of compiler-rt, which is left out below.
            .stack_check = false,
        }),
        // The other code generator and the other linker do not know weak symbols and `nodelete`.
        .use_llvm = true,
    });
    const link = b.addRunFile(.zig_exe);
    link.setName("link libtandem.so for " ++ @tagName(arch));
    link.addArgs(&.{ "build-lib", "-dynamic", "--name", "tandem", "-fllvm", "-flld", "-fstrip" });
    link.addArgs(&.{ "-target", @tagName(arch) ++ "-linux-none", "--gc-sections", "-z", "nodelete" });
    // What a process may lack (weak symbols) is looked up when the library is loaded.
    link.addArg("-fallow-shlib-undefined");
    // memcpy and its like come from the process's own libc; compiler-rt would be 100 KiB.
    link.addArg("-fno-compiler-rt");
    // By this name, with the version in it, the threads of a process find the copy that the first of them
    // has loaded, and never another version.
    link.addArg("-fsoname=" ++ soname);
    link.addFileArg(object.getEmittedBin());
    return link.addPrefixedOutputFileArg("-femit-bin=", "libtandem.so");
}

/// A program that runs while building and prints a source file.
fn addTool(b: *std.Build, name: []const u8, path: []const u8) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{ .root_source_file = b.path(path), .target = b.graph.host }),
    });
}

/// With safety checks also where production functions run in it: a failed one is a finding.
fn addModel(b: *std.Build, optimize: std.builtin.Optimize) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = "tandem-model",
        .root_module = b.createModule(.{
            .root_source_file = b.path("native/model.zig"),
            .target = b.graph.host,
            .optimize = optimize,
            // What lies below the stack pointer of a program that was put aside is nobody's.
            .red_zone = false,
        }),
    });
}

fn addTests(
    b: *std.Build,
    step: *std.Build.Step,
    resolved: std.Build.ResolvedTarget,
    optimize: std.builtin.Optimize,
    filters: []const []const u8,
) void {
    const tests = b.addTest(.{
        .root_module = b.createModule(.{
            .root_source_file = b.path("native/tests.zig"),
            .target = resolved,
            .optimize = optimize,
            // With debug information an optimized test takes three times as long to compile.
            .strip = optimize != .debug,
        }),
        .filters = filters,
    });
    const run = b.addRunArtifact(tests);
    // Else it is not run again while nothing has changed, and nothing is counted.
    run.has_side_effects = true;
    step.dependOn(&run.step);
}

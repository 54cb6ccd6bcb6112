//! Builds the native library, its unit tests, and the TypeScript that is generated from them.
//!
//!     zig build                          zig-out/lib/{x86_64,aarch64}/libtandem.so, and tandem-node.node
//!     zig build test                     unit tests on this machine
//!     zig build test-arm64 -fqemu        unit tests on arm64, by emulation where needed
//!     zig build crash                    zig-out/bin/tandem-crash, which dies on demand
//!     zig build model                    zig-out/bin/tandem-model, which explores the protocol
//!     zig build bindings                 rewrites src/ffi/layout.ts
//!     zig build fuzz                     zig-out/bin/tandem-fuzz, see native/fuzz.zig
//!     zig build embed                    writes src/ffi/embedded.js and src/runtime/embedded_addon.js
//!     zig build stress                   zig-out/bin/tandem-stress, random operations of many threads
//!     zig build proofs                   model, crash, fuzz and stress, without lines of debug information
//!     zig build test-library             zig-out/lib/<this machine>/libtandem-test.so, for tests/faults
//!     zig build bench                    zig-out/bin/tandem-bench, for bench/run.ts

const std = @import("std");
const builtin = @import("builtin");

/// Zig changes its build API and its language with each version. Another compiler would fail with errors that
/// do not name the cause.
const required_zig = "0.17.1";

const soname = "libtandem-" ++ @import("build.zig.zon").version ++ ".so";

/// The architectures of the shipped libraries. The processor is the oldest of each.
const Arch = enum { x86_64, aarch64 };

pub fn build(b: *std.Build) void {
    // Inside the function and before anything else, so that only this error is reported.
    comptime if (!std.mem.eql(u8, builtin.zig_version_string, required_zig)) {
        @compileError("Tandem is built with Zig " ++ required_zig ++ ", this is Zig " ++
            builtin.zig_version_string ++ "; run scripts/setup and use .tools/bin/zig");
    };

    const steps = .{
        .install = b.getInstallStep(),
        .@"test" = b.step("test", "Run the unit tests on this machine"),
        .test_arm64 = b.step("test-arm64", "Run the unit tests on arm64 (add -fqemu elsewhere)"),
        .crash = b.step("crash", "Build the program that tests/faults/crash.ts kills"),
        .bindings = b.step("bindings", "Generate src/ffi/layout.ts from native/bindings.zig"),
        .fuzz = b.step("fuzz", "Build the fuzzer of shared memory and channel files"),
        .model = b.step("model", "Build the model checker of the protocol, zig-out/bin/tandem-model"),
        .embed = b.step("embed", "Generate the modules that contain the libraries"),
        .stress = b.step("stress", "Build the program in which many threads do everything at random"),
        .proofs = b.step("proofs", "Build the four programs above for scripts/prove"),
        .test_library = b.step("test-library", "Build the library that stops its process where a test says"),
        .bench = b.step("bench", "Build the native side of the benchmarks"),
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
    const tool = addTool(b, "embed", "scripts/embed.zig");
    inline for (.{
        .{
            .library = Library{ .root = "native/lib.zig", .name = "tandem", .soname = soname, .stays = true },
            .file = "libtandem.so",
            .module = "src/ffi/embedded.js",
            .types = "embedded.d.ts",
        },
        .{
            .library = Library{ .root = "native/node_addon.zig", .name = "tandem-node", .soname = "tandem-node.node" },
            .file = "tandem-node.node",
            .module = "src/runtime/embedded_addon.js",
            .types = "embedded_addon.d.ts",
        },
    }) |shipped| {
        const embed = b.addRunArtifact(tool);
        embed.addArgs(&.{ shipped.types, shipped.library.soname });
        inline for (comptime std.enums.values(Arch)) |arch| {
            const library = addLibrary(b, arch, optimize orelse .safe, shipped.library);
            const install = b.addInstallLibFile(library, @tagName(arch) ++ "/" ++ shipped.file);
            steps.install.dependOn(&install.step);
            embed.addArg(@tagName(arch));
            embed.addFileArg(library);
        }
        generated.addCopyFileToSource(embed.captureStdOut(.{}), shipped.module);
    }
    steps.embed.dependOn(&generated.step);

    inline for (comptime std.enums.values(Arch)) |arch| {
        if (std.mem.eql(u8, @tagName(arch), @tagName(b.graph.host.result.cpu.arch))) {
            const library = addLibrary(b, arch, optimize orelse .safe, .{
                .root = "native/test_library.zig",
                .name = "tandem-test",
                .soname = "libtandem-test.so",
                .stays = true,
            });
            const install = b.addInstallLibFile(library, @tagName(arch) ++ "/libtandem-test.so");
            steps.test_library.dependOn(&install.step);
        }
    }

    const bindings = b.addRunArtifact(addTool(b, "bindings", "native/bindings.zig"));
    const layout = b.addUpdateSourceFiles();
    layout.addCopyFileToSource(bindings.captureStdOut(.{}), "src/ffi/layout.ts");
    steps.bindings.dependOn(&layout.step);

    const bench = b.addInstallArtifact(addBench(b, optimize orelse .safe), .{});
    steps.bench.dependOn(&bench.step);
    const proofs = .{
        .{ .step = steps.model, .name = "tandem-model", .root = "native/model.zig" },
        .{ .step = steps.crash, .name = "tandem-crash", .root = "native/crash.zig" },
        .{ .step = steps.fuzz, .name = "tandem-fuzz", .root = "native/fuzz.zig" },
        .{ .step = steps.stress, .name = "tandem-stress", .root = "native/stress.zig" },
    };
    inline for (proofs) |proof| {
        const program = addProof(b, proof.name, proof.root, optimize orelse .safe, .with_lines);
        proof.step.dependOn(&b.addInstallArtifact(program, .{}).step);
        const stripped = addProof(b, proof.name, proof.root, optimize orelse .safe, .stripped);
        steps.proofs.dependOn(&b.addInstallArtifact(stripped, .{}).step);
    }

    // Unoptimized on this machine: it compiles in a second, and a failure names its line. On arm64 as
    // shipped, because no other test runs that code.
    addTests(b, steps.@"test", b.graph.host, optimize orelse .debug, filters);
    addTests(b, steps.test_arm64, target(b, .aarch64), optimize orelse .safe, filters);
}

/// A shared library: its root file, its names, and whether it is never unloaded.
const Library = struct { root: []const u8, name: []const u8, soname: []const u8, stays: bool = false };

/// No libc: processes with glibc and processes with musl load the same file.
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

/// The library is compiled and linked in two steps, because `std.Build` cannot pass `-z nodelete`, while the
/// compiler can. Deno unloads a library when a Worker ends; destructors of thread-specific data that run
/// later still need their code.
fn addLibrary(
    b: *std.Build,
    comptime arch: Arch,
    optimize: std.builtin.Optimize,
    comptime library: Library,
) std.Build.LazyPath {
    const object = b.addObject(.{
        .name = library.name ++ "-" ++ @tagName(arch),
        .root_module = b.createModule(.{
            .root_source_file = b.path(library.root),
            .target = target(b, arch),
            .optimize = optimize,
            .strip = true,
            // It is never unwound.
            .unwind_tables = .none,
            .pic = true,
            // The probe is a function of compiler-rt, which is left out below.
            .stack_check = false,
        }),
        // The other code generator and the other linker do not know weak symbols and `nodelete`.
        .use_llvm = true,
    });
    const link = b.addRunFile(.zig_exe);
    link.setName("link lib" ++ library.name ++ ".so for " ++ @tagName(arch));
    link.addArgs(&.{ "build-lib", "-dynamic", "--name", library.name, "-fllvm", "-flld", "-fstrip" });
    link.addArgs(&.{ "-target", @tagName(arch) ++ "-linux-none", "--gc-sections" });
    if (library.stays) link.addArgs(&.{ "-z", "nodelete" });
    // Looked up when the library is loaded: weak symbols, which a process may lack, and those of Node-API.
    link.addArg("-fallow-shlib-undefined");
    // memcpy and its like come from the process's own libc; compiler-rt would be 100 KiB.
    link.addArg("-fno-compiler-rt");
    // Under this name, which contains the version, the threads of a process find the copy that the first of
    // them has loaded, and never another version.
    link.addArg("-fsoname=" ++ library.soname);
    link.addFileArg(object.getEmittedBin());
    return link.addPrefixedOutputFileArg("-femit-bin=", "lib" ++ library.name ++ ".so");
}

/// A program that runs while building and prints a source file.
fn addTool(b: *std.Build, name: []const u8, path: []const u8) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{ .root_source_file = b.path(path), .target = b.graph.host }),
    });
}

/// Built like the library, for this machine. It links the machine's C library, from which the library borrows
/// a clock that does not enter the kernel.
fn addBench(b: *std.Build, optimize: std.builtin.Optimize) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = "tandem-bench",
        .root_module = b.createModule(.{
            .root_source_file = b.path("native/bench.zig"),
            .target = b.resolveTargetQuery(.{ .cpu_model = .baseline }),
            .optimize = optimize,
            .link_libc = true,
            .strip = true,
        }),
        .use_llvm = true,
    });
}

/// Whether a failed check names its line. It takes twice as long to compile.
const Debugging = enum { with_lines, stripped };

/// The library's functions on a memory of the program's own, with the safety checks of the shipped library: a
/// failed check is a finding.
fn addProof(
    b: *std.Build,
    name: []const u8,
    root: []const u8,
    optimize: std.builtin.Optimize,
    debugging: Debugging,
) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{
            .root_source_file = b.path(root),
            .target = b.graph.host,
            .optimize = optimize,
            .strip = debugging == .stripped,
            // The bytes below the stack pointer of a suspended program of the model are not preserved.
            .red_zone = false,
        }),
        // As for the library.
        .use_llvm = true,
        .use_lld = true,
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
    // Otherwise the build system would not run it again while nothing has changed, and count nothing.
    run.has_side_effects = true;
    step.dependOn(&run.step);
}

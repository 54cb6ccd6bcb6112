/**
 * docs/coming-from-pools.md has a row for every option, method, event and signal of the pools that it names.
 */
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "../support/harness.ts";

const page = fileURLToPath(new URL("../../docs/coming-from-pools.md", import.meta.url));

/** What each pool calls its things: piscina 5.3, tinypool 2.2, workerpool 10.0, Net::Server 2.013. */
const vocabulary: Readonly<Record<string, string>> = {
  "piscina": `
    filename name minThreads maxThreads idleTimeout maxQueue concurrentTasksPerWorker atomics useAtomics
    resourceLimits argv execArgv env workerData taskQueue niceIncrement trackUnmanagedFds closeTimeout
    recordTiming stricterFIFO loadBalancer workerHistogram transferList signal close destroy run move
    transferableSymbol valueSymbol queueOptionsSymbol FixedQueue ArrayTaskQueue threads idleThreads options
    queueSize completed histogram utilization duration needsDrain isWorkerThread workerCreate workerDestroy
    message error drain AbortError`,
  "tinypool": `
    runtime terminateTimeout maxMemoryLimitBeforeRecycle isolateWorkers teardown serialization channel
    cancelPendingTasks recycleWorkers destroy workerId threads queueSize completed duration`,
  "workerpool": `
    script minWorkers maxWorkers maxQueueSize workerType queueStrategy workerTerminateTimeout forkArgs forkOpts
    workerOpts workerThreadOpts debugPortStart emitStdStreams stdout stderr onCreateWorker onTerminateWorker exec
    on transfer metadata proxy cancel timeout stats terminate onTerminate abortListenerTimeout addAbortListener
    workerEmit Transfer cpus platform isMainThread`,
  "node:cluster": `
    exec args execArgv cwd uid gid fork serialization silent stdio inspectPort windowsHide schedulingPolicy
    SCHED_RR SCHED_NONE NODE_CLUSTER_SCHED_POLICY setupPrimary settings setup isPrimary isWorker worker workers
    disconnect exitedAfterDisconnect kill send message process isDead isConnected online listening exit error`,
  "AnyEvent::Task": `
    listen interface name setup checkout_done hung_worker_timeout run fork_task_server connect min_workers
    max_workers timeout max_checkouts dont_refork_after_error checkout throw_fatal_error log_defer_object logger
    children_sockets`,
  "Net::Server and Net::Server::PreFork": `
    conf_file log_level log_file log_function pid_file port host proto ipv listen ipv6_package reverse_lookups
    double_reverse_lookups allow deny cidr_allow cidr_deny chroot user group background setsid no_close_by_child
    no_client_stdout leave_children_open_on_hup sig_passthrough tie_client_stdout tied_stdin_callback
    tied_stdout_callback syslog_logsock syslog_ident syslog_logopt syslog_facility udp_recv_len udp_recv_flags
    udp_broadcast min_servers max_servers min_spare_servers max_spare_servers spare_servers max_requests
    min_child_ttl check_for_waiting check_for_spawn check_for_dead max_dequeue check_for_dequeue run_dequeue
    child_communication serialize lock_file configure_hook post_configure_hook post_bind_hook pre_loop_hook
    can_read_hook post_accept_hook allow_deny_hook request_denied_hook post_process_request_hook
    post_client_connection_hook pre_server_close_hook write_to_log_hook fatal_hook post_child_cleanup_hook
    restart_open_hook restart_close_hook child_init_hook pre_fork_hook register_child child_finish_hook
    default_values handle_syslog_error run_n_children_hook parent_read_hook child_is_talking_hook idle_loop_hook
    cleanup_dead_child_hook delete_child_hook process_request INT TERM QUIT HUP TTIN TTOU CHLD PIPE`,
  "Net::Server::ZMQ": `
    run port app user group proctitle pop linger identities zmq-client -t -r -e -i min_servers min_spare_servers
    max_spare_servers max_servers max_requests check_for_dead check_for_waiting check_for_spawn min_child_ttl
    max_dequeue check_for_dequeue child_communication serialize lock_file sig_passthrough
    leave_children_open_on_hup scaling run_n_children_hook child_init_hook child_finish_hook parent_read_hook
    child_is_talking_hook idle_loop_hook cleanup_dead_child_hook pre_fork_hook delete_child_hook conf_file
    pid_file log_file log_level syslog background setsid chroot allow deny cidr_allow cidr_deny INT TERM QUIT HUP
    TTIN TTOU CHLD PIPE parent stranger weakness`,
};

/** The tables of each section, by its heading. */
function sections(): ReadonlyMap<string, readonly string[]> {
  const [, ...parts] = readFileSync(page, "utf8").split(/^## /m);
  return new Map(parts.map((part) => {
    const [heading = "", ...lines] = part.split("\n");
    return [heading, lines.filter((line) => line.startsWith("| "))];
  }));
}

for (const [heading, names] of Object.entries(vocabulary)) {
  test(`coming from ${heading}: each name has a row with an answer`, () => {
    const rows = sections().get(heading);
    assert(rows, `there is no section ${heading}`);
    const missing = names.trim().split(/\s+/).filter((name) => {
      const word = new RegExp(`(?<![\\w-])${name.replaceAll("-", "\\-")}(?![\\w-])`);
      return !rows.some((row) => {
        const [, left = "", ...right] = row.split(/(?<!\\)\|/);
        return word.test(left) && right.join("").trim() !== "";
      });
    });
    assertEquals(missing, []);
  });
}

import { Server } from "@tandem/ipc";

using server = Server.open("smoke");
server.serveSync((request) => request.bytes, { idleTimeout: 30_000 });

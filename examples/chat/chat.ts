/**
 * The terminal of one member: `chat.ts NAME`. Each line goes to all others in the room; `/join ROOM` goes to another
 * one, `/who` lists who is there, `/quit` ends the program.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Node } from "@tandem/ipc/node";
import { Room } from "./room.ts";

const [me = "somebody"] = process.argv.slice(2);
{
  // Nodes of a group see each other, and no others.
  await using node = await Node.start({ name: "chat", group: "example-chat" });
  const enter = (name: string): Room => new Room(node, name, me, console.log);
  let room = enter("lobby");

  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument = ""] = line.split(" ");
    if (command === "/quit") break;
    if (command === "/who") console.log(`* ${room.others.join(", ") || "nobody else"}`);
    else if (command !== "/join") room.say(line);
    else if (!/^\w+$/.test(argument)) console.log("* a room has a name of letters and digits");
    else {
      room[Symbol.dispose]();
      room = enter(argument);
    }
  }
}
// The node has said good-bye to the others. Listening to stdin would keep this process alive.
process.exit();

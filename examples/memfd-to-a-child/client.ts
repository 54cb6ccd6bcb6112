/**
 * The child of server.ts. It inherits the channel as descriptor 3.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = Client.fromFd(3);

for (let number = 1; number <= 5; number++) {
  console.log(new TextDecoder().decode(await client.request(String(number))));
}

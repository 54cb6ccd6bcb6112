const tandem: typeof import("@tandem/ipc") = require("@tandem/ipc");
const { main }: typeof import("./program.ts") = require("./program.ts");

void main(tandem);

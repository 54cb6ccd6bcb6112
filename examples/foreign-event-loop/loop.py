"""An event loop that does not know Tandem. Descriptor 3 is readable while requests wait.

The loop of a GUI toolkit, or poll(2) in a program in C, would work as well.
"""

import asyncio
import os


def requests_wait():
    # The descriptor stays readable until the server has taken them. Watching it would make this loop spin.
    loop.remove_reader(3)
    print("requests wait", flush=True)


def heard():
    if os.read(0, 1024):
        loop.add_reader(3, requests_wait)
    else:
        loop.stop()


loop = asyncio.new_event_loop()
loop.add_reader(0, heard)
loop.add_reader(3, requests_wait)
loop.run_forever()

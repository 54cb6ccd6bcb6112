"""An event loop that knows nothing of Tandem. Descriptor 3 is readable while requests wait.

It might as well be that of a toolkit for windows, or poll(2) in a program in C.
"""

import asyncio
import os


def requests_wait():
    # It stays readable until they are taken: not watched meanwhile, or this loop would spin.
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

"""A small restaurant, to be recorded: a server, three guests, a thread, a cook who holds all up.

The picture of its recording is made by `make pictures`. To look at the recording itself:

    python -m miniloop --record kitchen.html docs/images/kitchen.py
"""

import asyncio
import time


async def serve(reader, writer):
    order = (await reader.readline()).decode().strip()
    meal = await cook(order)
    writer.write(f"{meal}\n".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def cook(order):
    match order:
        case "soup":
            await asyncio.sleep(0.02)
        case "bread":
            await asyncio.to_thread(time.sleep, 0.03)
        case "flambé":
            time.sleep(0.12)  # nobody else can work meanwhile
    return f"{order} is served"


async def guest(name, order, port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{order}\n".encode())
    try:
        async with asyncio.timeout(1):
            print(f"{name}:", (await reader.readline()).decode().strip())
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as guests:
        for name, order in (("Ada", "soup"), ("Grace", "bread"), ("Alan", "flambé")):
            guests.create_task(guest(name, order, port), name=name)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())

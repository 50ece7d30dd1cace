import asyncio


async def every(seconds, times, call):
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(1, times + 1):
        await asyncio.sleep(start + number * seconds - loop.time())
        call()

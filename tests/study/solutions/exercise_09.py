import asyncio


async def run(command, seconds):
    child = await asyncio.create_subprocess_exec(*command)
    try:
        for stop in child.terminate, child.kill:
            try:
                async with asyncio.timeout(seconds):
                    return await child.wait()
            except TimeoutError:
                stop()
        return await child.wait()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise

import asyncio


async def gather(*coroutines):
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    over = asyncio.get_running_loop().create_future()
    left = len(tasks)

    def note(task):
        nonlocal left
        left -= 1
        if over.done():
            return
        if task.exception() is not None:
            over.set_exception(task.exception())
        elif not left:
            over.set_result([task.result() for task in tasks])

    for task in tasks:
        task.add_done_callback(note)
    return await over if tasks else []

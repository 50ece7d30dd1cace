import asyncio
import threading


async def in_thread(function, *arguments):
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(set_outcome, outcome):
        if not future.done():
            set_outcome(outcome)

    def work():
        try:
            result = function(*arguments)
        except Exception as error:
            loop.call_soon_threadsafe(settle, future.set_exception, error)
        else:
            loop.call_soon_threadsafe(settle, future.set_result, result)

    threading.Thread(target=work).start()
    return await future

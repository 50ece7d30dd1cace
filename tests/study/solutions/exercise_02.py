from collections import deque


def run(coroutines):
    results = [None] * len(coroutines)
    ready = deque(enumerate(coroutines))
    while ready:
        number, coroutine = ready.popleft()
        try:
            coroutine.send(None)
        except StopIteration as stop:
            results[number] = stop.value
        except Exception as error:
            results[number] = error
        else:
            ready.append((number, coroutine))
    return results

def drive(coroutine, answer):
    resume, value = coroutine.send, None
    while True:
        try:
            question = resume(value)
        except StopIteration as stop:
            return stop.value
        try:
            resume, value = coroutine.send, answer(question)
        except Exception as error:
            resume, value = coroutine.throw, error

"""The compiled build, made in a temporary folder, and programs that run on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import miniloop
from miniloop.compiled import build
from miniloop.compiled.build import BUILT
from miniloop.compiled.rewrites import MODULES

PACKAGE = Path(miniloop.__file__).parent
HEADER = Path(sysconfig.get_path("include")) / "Python.h"


def missing() -> str:
    """What the build needs and is not here."""
    if not all(importlib.util.find_spec(module) for module in ("Cython", "setuptools")):
        return "Cython is not installed: see requirements/compiled.in"
    if not shutil.which(os.environ.get("CC", "cc")):
        return "there is no C compiler"
    return "" if HEADER.exists() else f"there is no {HEADER}"


pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(900),  # the first of them builds
]

Program = Callable[..., str]


def run_in(folder: Path, *arguments: str, pure: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("MINILOOP_PURE", None)
    if pure:
        environment["MINILOOP_PURE"] = "1"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


def is_fresh() -> bool:
    """Whether this checkout was built for this Python, after the last change."""
    made = [path.stat().st_mtime for path in BUILT.glob("*/*.so")]
    sources = [
        path.stat().st_mtime
        for kind in ("kernel/*.py", "net/*.py", "compiled/**/*.p*", "compiled/*.h")
        for path in PACKAGE.glob(kind)
    ]
    return len(made) == len(MODULES) and min(made) > max(sources)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compiled miniloop in it."""
    folder = tmp_path_factory.mktemp("build")
    unwanted = ["__pycache__"] if is_fresh() else ["built", "__pycache__"]
    shutil.copytree(PACKAGE, folder / "miniloop", ignore=shutil.ignore_patterns(*unwanted))
    if is_fresh():
        return folder
    made = run_in(folder, "-m", "miniloop.compiled.build", pure=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(params=["compiled", "pure"])
def program(request: pytest.FixtureRequest, built: Path) -> Program:
    """Runs a program and gives what it prints; on either build, as both must say the same."""
    pure = request.param == "pure"

    def run(text: str, *flags: str) -> str:
        file = built / "program.py"
        file.write_text(
            f"import asyncio, miniloop\nassert miniloop.COMPILED is {not pure}\n"
            + textwrap.dedent(text)
        )
        ended = run_in(built, "-W", "error", *flags, str(file), pure=pure)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return run


def test_the_version_and_the_loop_say_which_build_runs(built: Path) -> None:
    assert "(compiled)" in run_in(built, "-m", "miniloop", "--version").stdout
    assert "(compiled)" not in run_in(built, "-m", "miniloop", "--version", pure=True).stdout
    show = "import miniloop; loop = miniloop.new_event_loop(); print(loop); loop.close()"
    assert "compiled" in run_in(built, "-c", show).stdout
    assert "compiled" not in run_in(built, "-c", show, pure=True).stdout


def test_a_build_without_a_compiler_says_what_is_missing(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    made = run_in(built, "-m", "miniloop.compiled.build", pure=True)
    assert made.returncode == 1
    assert "there is no C compiler" in made.stderr


def test_the_build_tells_of_unexpected_warnings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    origins = build.prepare(tmp_path)
    monkeypatch.setattr(build, "MODULES", ("kernel.future", "kernel.scheduler"))
    build.translate(tmp_path, origins)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(build, "EXPECTED", {"another": {"kernel.future"}})
    monkeypatch.setattr(build, "MODULES", ("kernel.future",))
    build.translate(tmp_path, origins)
    assert "miniloop/kernel/future.py" in capsys.readouterr().err


def test_what_was_compiled_of_the_same_c_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def compile_c(sources: dict[str, Path], into: Path) -> None:
        for module, source in sources.items():
            compiled.append(module)
            made = into.parent / "lib" / "miniloop" / (module.replace(".", "/") + suffix)
            made.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, made)

    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    monkeypatch.setattr(build, "compile_c", compile_c)
    sources = {f"kernel.{name}": tmp_path / f"{name}.c" for name in ("task", "future")}
    for round_name in ("first", "second"):
        sources["kernel.task"].write_text(round_name)
        sources["kernel.future"].write_text("always this")
        build.compile_kept(sources, tmp_path / round_name / "x", tmp_path / "kept")
    assert compiled == ["kernel.task", "kernel.future", "kernel.task"]
    again = tmp_path / "second" / "lib" / "miniloop" / "kernel"
    assert (again / f"task{suffix}").read_text() == "second"
    assert (again / f"future{suffix}").read_text() == "always this"


def test_a_build_leaves_alone_what_programs_have_loaded_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "built" / "cpython-0"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    monkeypatch.setattr(build, "MODULES", ("kernel.task",))
    made = tmp_path / "made" / "kernel" / f"task{suffix}"
    made.parent.mkdir(parents=True)
    place.parent.mkdir()
    made.write_text("first")
    build.install(tmp_path / "made", place, "a record")
    with (place / "kernel" / made.name).open() as loaded:
        made.write_text("other")
        build.install(tmp_path / "made", place, "")
        assert loaded.read() == "first"
    assert [path.read_text() for path in place.rglob("*") if path.is_file()] == ["other"]
    assert list(place.parent.iterdir()) == [place]


def test_where_nothing_can_be_written_the_build_says_so_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(build, "BUILT", tmp_path / "file" / "built" / "cpython-0")
    monkeypatch.setattr(sys, "argv", ["build"])
    with pytest.raises(SystemExit, match=r"cannot build into .*: Not a directory"):
        build.main()


def test_tasks_and_futures_take_attributes_and_weak_references(program: Program) -> None:
    program(
        """
        import gc, weakref

        async def main():
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(asyncio.sleep(0, "slept"))
            future = loop.create_future()
            handle = loop.call_soon(int)
            timer = loop.call_later(3600, int)
            for thing in (task, future):
                assert "mine" not in vars(thing)
                thing.mine = [thing]
                assert thing.mine == [thing] == vars(thing)["mine"]
                del thing.mine
                assert not hasattr(thing, "mine")
            assert not hasattr(handle, "__dict__")
            seen = [weakref.ref(thing) for thing in (task, future, handle, timer, loop)]
            assert await task == "slept"
            timer.cancel()
            del task, future, handle, timer, thing
            await asyncio.sleep(0)
            gc.collect()
            assert [reference() is None for reference in seen] == [
                True, True, True, False, False
            ], seen

        miniloop.run(main())
        """
    )


def test_what_is_awaited_may_be_anything_and_leaves_no_exception_behind(program: Program) -> None:
    program(
        """
        import sys

        async def give(what):
            return what

        async def main():
            loop = asyncio.get_running_loop()
            for what in (None, (), (1, 2), StopIteration(3), ValueError, ValueError(4), [5]):
                done = loop.create_future()
                done.set_result(what)
                later = loop.create_future()
                loop.call_soon(later.set_result, what)
                task = asyncio.create_task(give(what))
                for awaited in (done, later, task):
                    try:
                        raise KeyError
                    except KeyError as error:
                        assert await awaited is what
                        assert sys.exception() is error
                        assert error.__context__ is None
                    assert not isinstance(what, Exception) or what.__traceback__ is None
                iterator = done.__await__()
                try:
                    next(iterator)
                except StopIteration as stop:
                    assert stop.value is what
                else:
                    raise AssertionError("an end was expected")

        miniloop.run(main())
        """
    )


def test_objects_of_every_kind_begin_anew_after_thousands_have_gone(program: Program) -> None:
    program(
        """
        import gc, weakref

        class Mine(miniloop.Task):
            pass

        async def nothing():
            pass

        async def main():
            loop = asyncio.get_running_loop()
            for turn in range(3):
                things = [loop.create_future() for _ in range(1000)]
                things += [loop.call_soon(int) for _ in range(1000)]
                things += [loop.call_soon_threadsafe(int) for _ in range(1000)]
                things += [loop.call_later(3600, int) for _ in range(1000)]
                things += [loop.create_task(nothing()) for _ in range(1000)]
                things += [Mine(nothing(), loop=loop) for _ in range(10)]
                for future in things[:1000]:
                    assert not future.done() and vars(future) == {} and not future._callbacks
                    future.mine = turn
                    future.set_exception(KeyError(turn))
                    future.exception()
                for handle in things[1000:4000]:
                    assert not handle.cancelled() and weakref.getweakrefcount(handle) == 0
                for task in things[4000:]:
                    assert not task.done() and task.cancelling() == 0 and vars(task) == {}
                    task.mine = turn
                seen = [weakref.ref(thing) for thing in things]
                things[1000].cancel()
                for timer in things[3000:4000]:
                    timer.cancel()
                del future, handle, timer, task
                things.clear()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                loop.call_later(0, int)
                await asyncio.sleep(0.001)
                gc.collect()
                left = [reference() for reference in seen if reference() is not None]
                assert len(left) <= 101, len(left)  # timers that are not swept yet
                del left

        miniloop.run(main())
        """
    )


def test_an_import_in_the_midst_of_a_task_leaves_that_task_current(built: Path) -> None:
    program = """
import asyncio

async def main():
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    import miniloop
    assert miniloop.COMPILED
    assert asyncio.get_running_loop() is loop
    assert asyncio.current_task() is task is not None

asyncio.run(main())
"""
    ended = run_in(built, "-W", "error", "-c", program)
    assert ended.returncode == 0, ended.stderr


def test_classes_can_be_inherited_from(program: Program) -> None:
    program(
        """
        class Promise(miniloop.Future):
            def add_done_callback(self, callback, *, context=None):
                self.asked = True
                super().add_done_callback(callback, context=context)

        class Job(miniloop.Task):
            def __init__(self, coro, *, loop, **kwargs):
                self.started = loop.time()
                super().__init__(coro, loop=loop, **kwargs)
            def cancel(self, msg=None):
                self.refused = True
                return False

        class Loop(miniloop.EventLoop):
            def call_soon(self, callback, *args, context=None):
                self.calls = getattr(self, "calls", 0) + 1
                return super().call_soon(callback, *args, context=context)
            def create_future(self):
                return Promise(loop=self)

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **kwargs: Job(coro, loop=loop, **kwargs))
            promise = loop.create_future()
            job = asyncio.create_task(asyncio.wait_for(promise, 60))
            await asyncio.sleep(0)
            job.cancel()
            loop.call_soon(promise.set_result, 5)
            assert await job == 5
            assert job.refused and job.started <= loop.time() and promise.asked and loop.calls

        asyncio.Runner(loop_factory=Loop).run(main())
        """
    )


def test_what_cannot_be_pickled_or_copied_says_so(program: Program) -> None:
    said = program(
        """
        import copy, pickle

        async def main():
            loop = asyncio.get_running_loop()
            things = [asyncio.current_task(), loop.call_soon(int), loop.call_later(0, int), loop]
            for thing in things:
                for attempt in (pickle.dumps, copy.deepcopy):
                    try:
                        attempt(thing)
                    except (TypeError, AttributeError, pickle.PicklingError):
                        print("refused")

        miniloop.run(main())
        """
    )
    assert said.split() == ["refused"] * 8


def test_debug_mode_watches(program: Program) -> None:
    said = program(
        """
        import logging, time
        logging.basicConfig(format="%(message)s")

        def slow():
            time.sleep(0.02)

        async def main():
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 0.01
            loop.call_soon(slow)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            try:
                await asyncio.to_thread(loop.call_soon, print)
            except RuntimeError as error:
                print(error)
            future = loop.create_future()
            print(repr(future))

        miniloop.run(main(), debug=True)
        """
    )
    assert "slow" in said, said
    assert "took 0.0" in said, said
    assert "thread" in said.lower(), said
    assert "created at" in said, said


def test_tracebacks_show_the_lines_that_people_read(built: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"  # files are found from another folder than the package's
    program.write_text(
        textwrap.dedent(
            """
            import miniloop, traceback
            assert miniloop.COMPILED
            future = miniloop.Future(loop=miniloop.new_event_loop())
            future.set_result(1)
            try:
                future.set_result(2)
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                print(frame.filename, frame.lineno, frame.name)
            future.get_loop().close()
            """
        )
    )
    ended = run_in(built, str(program))
    assert ended.returncode == 0, ended.stderr
    name, line, function = ended.stdout.split()
    assert name == str(built / "miniloop" / "kernel" / "future.py")
    assert function.endswith("set_result")
    lines = (PACKAGE / "kernel" / "future.py").read_text().splitlines()
    assert "raise InvalidStateError" in lines[int(line) - 1], lines[int(line) - 1]


def test_types_say_how_they_are_called_and_take_nothing_else(program: Program) -> None:
    program(
        """
        import inspect

        class Job(miniloop.Task):
            pass

        for kind in (miniloop.Task, Job):
            names = list(inspect.signature(kind).parameters)
            assert names == ["coro", "loop", "name", "context", "eager_start"], names
        assert list(inspect.signature(miniloop.Handle).parameters) == []
        for kind in (miniloop.Handle, miniloop.TimerHandle):
            try:
                kind(print, (), None)
            except TypeError:
                pass
            else:
                raise AssertionError("arguments were taken that nobody reads")
        """
    )


def test_any_module_may_be_the_first_that_is_imported(built: Path) -> None:
    # As happens where something is imported in the midst of `import miniloop`.
    ended = run_in(
        built,
        "-c",
        textwrap.dedent(
            f"""
            import asyncio, importlib, os, sys, types
            package = types.ModuleType("miniloop")
            package.__path__ = [{str(built / "miniloop")!r}]
            sys.modules["miniloop"] = package
            import miniloop.kernel
            assert miniloop.kernel.COMPILED
            folders = [package.__path__[0] + "/" + name for name in ("kernel", "net")]
            modules = {{
                folder.rsplit("/", 1)[1] + "." + file.removesuffix(".py")
                for folder in folders
                for file in os.listdir(folder)
                if file.endswith(".py") and file != "__init__.py"
            }}
            assert len(modules) > 40
            for module in sorted(modules):
                child = os.fork()
                if not child:
                    importlib.import_module("miniloop." + module)
                    os._exit(0)
                if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
                    sys.exit(module)
            """
        ),
    )
    assert ended.returncode == 0, ended.stderr


def test_ctrl_c_ends_a_loop_in_which_no_step_of_python_is_run(program: Program) -> None:
    said = program(
        """
        import itertools, os, signal, threading, time

        loop = miniloop.new_event_loop()
        # Each call of `next` queues the next one; the compiled build does all of it in C.
        cell = []
        again = map(loop.call_soon, itertools.repeat(next), itertools.cycle(cell))
        cell.append(again)

        def strike():
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)

        loop.call_soon(next, again)
        threading.Thread(target=strike).start()
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted")
        finally:
            loop.close()
        """
    )
    assert said == "interrupted\n"


def test_another_thread_gets_its_turns(program: Program) -> None:
    program(
        """
        import itertools, threading, time

        loop = miniloop.new_event_loop()
        cell = []
        again = map(loop.call_soon, itertools.repeat(next), itertools.cycle(cell))
        cell.append(again)
        loop.call_soon(next, again)

        def work():
            try:
                for _ in range(100):
                    time.sleep(0)  # gives the interpreter away, and has to get it back
            finally:
                loop.call_soon_threadsafe(loop.stop)

        worker = threading.Thread(target=work)
        worker.start()
        loop.run_forever()
        worker.join()
        loop.close()
        """
    )


def test_a_million_tasks_leave_nothing_behind(built: Path) -> None:
    ended = run_in(
        built,
        "-c",
        textwrap.dedent(
            """
            import asyncio, gc, miniloop, sys
            assert miniloop.COMPILED

            async def nothing():
                pass

            async def fail():
                raise ValueError

            async def work(number):
                loop = asyncio.get_running_loop()
                for kind in range(number // 10):
                    task = asyncio.create_task(nothing())
                    waiting = asyncio.create_task(asyncio.sleep(3600))
                    failing = asyncio.create_task(fail())
                    future = loop.create_future()
                    loop.call_soon(future.set_result, kind)
                    timer = loop.call_later(3600, future.set_result, 0)
                    timer.cancel()
                    assert await future == kind
                    await task
                    waiting.cancel()
                    await asyncio.wait([waiting, failing])
                    failing.exception()
                    eager = miniloop.eager_task_factory(loop, asyncio.sleep(0))
                    await asyncio.gather(eager, *(nothing() for _ in range(6)))

            def blocks():
                gc.collect()
                return sys.getallocatedblocks()

            async def main():
                await work(20_000)
                before = blocks()
                await work(1_000_000)
                return blocks() - before

            print(miniloop.run(main()))
            """
        ),
    )
    assert ended.returncode == 0, ended.stderr
    # A leak of one object in each of the 100,000 rounds would be 100,000 blocks.
    assert abs(int(ended.stdout)) < 1000, ended.stdout


@pytest.mark.skipif(sys.version_info < (3, 14), reason="interpreters are new in CPython 3.14")
def test_an_interpreter_beside_the_main_one_takes_the_files_and_says_so(built: Path) -> None:
    inside = "import miniloop, asyncio; miniloop.run(asyncio.sleep(0)); print(miniloop.COMPILED)"
    program = f"""
import miniloop
from concurrent import interpreters
one = interpreters.create()
one.exec({inside!r})
one.close()
print(miniloop.COMPILED)
"""
    ended = run_in(built, "-c", program)
    assert ended.stdout == "False\nTrue\n", ended.stderr
    assert "RuntimeWarning: the compiled miniloop cannot be loaded here" in ended.stderr
    ended = run_in(built, "-c", program, pure=True)
    assert (ended.stdout, ended.stderr) == ("False\nFalse\n", "")


def test_a_build_that_cannot_be_loaded_is_left_alone(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "miniloop", tmp_path / "miniloop")
    (core,) = (tmp_path / "miniloop" / "compiled" / "built" / BUILT.name).glob("kernel/core.*")
    core.write_bytes(b"of another machine")
    program = "import miniloop, asyncio; print(miniloop.run(asyncio.sleep(0, miniloop.COMPILED)))"
    ended = run_in(tmp_path, "-c", program)
    assert ended.stdout == "False\n"
    assert "core" in ended.stderr
    assert "and the files of Python run" in ended.stderr

"""The file of a recording: small, readable up to where it ends, and never something else."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest

import miniloop
from miniloop.study import read, recording
from miniloop.study.file import NoRecording, blocks_in, numbers_of, pack_records
from miniloop.study.records import text_of, text_to_numbers
from tests.builds import pure_only
from tests.study.recorded import Recorded, recorded

pytestmark = pure_only


async def give_way(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def record(path: Path, times: int = 50) -> None:
    with recording(path):
        miniloop.run(give_way(times))


def test_a_file_that_was_cut_off_anywhere_can_be_read_up_to_there(tmp_path: Path) -> None:
    record(tmp_path / "whole", 10)
    data = (tmp_path / "whole").read_bytes()
    sizes = []
    for end in range(len(data) - 1, 20, -97):
        (tmp_path / "cut").write_bytes(data[:end])
        found = read(tmp_path / "cut")
        assert found.ended == "cut off"
        sizes.append(len(found.model()["events"]["kind"]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == len(read(tmp_path / "whole").model()["events"]["kind"])


def test_a_damaged_block_ends_the_reading_and_raises_nothing(tmp_path: Path) -> None:
    record(tmp_path / "whole")
    data = bytearray((tmp_path / "whole").read_bytes())
    data[-20] ^= 0xFF
    (tmp_path / "damaged").write_bytes(data)
    assert read(tmp_path / "damaged").ended == "cut off"


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("something else")
    with pytest.raises(NoRecording, match="is not a recording of miniloop"):
        read(tmp_path / "text")


def test_a_step_takes_few_bytes(tmp_path: Path) -> None:
    record(tmp_path / "few", 1_000)
    record(tmp_path / "many", 21_000)
    sizes = [(tmp_path / name).stat().st_size for name in ("few", "many")]
    assert (sizes[1] - sizes[0]) / 20_000 < 5


def test_the_sources_of_the_program_are_in_the_file(tmp_path: Path) -> None:
    record(tmp_path / "run")
    files = read(tmp_path / "run").model()["files"]
    (here,) = [file for file in files if file["path"] == __file__]
    assert here["kind"] == "program"
    assert here["source"] == Path(__file__).read_text(encoding="utf-8")
    assert {file["kind"] for file in files} <= {"program", "library", "asyncio", "miniloop"}


def test_the_model_is_plain_json_and_says_what_was_recorded(tmp_path: Path) -> None:
    record(tmp_path / "run")
    model = read(tmp_path / "run").model()
    assert json.loads(json.dumps(model)) == model
    assert (model["format"], model["ended"], model["dropped"]) == (1, "returned", 0)
    assert model["loop"] == f"miniloop {miniloop.__version__}"


def test_how_it_ended_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more"), recording(tmp_path / "run"):
        raise ValueError("no more")
    assert read(tmp_path / "run").ended == "failed: ValueError: no more"


def test_only_the_last_turns_are_kept_with_the_names_of_what_was_there_before(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(give_way(2_000), name=f"worker {n}") for n in range(3)]
        await asyncio.wait(tasks)

    with recording(tmp_path / "all"):
        miniloop.run(main())
    with recording(tmp_path / "last", last=80):
        miniloop.run(main())
    whole, told = Recorded(tmp_path / "all"), Recorded(tmp_path / "last")
    turns = len(list(told.events("turn")))
    assert 80 <= turns <= 100
    assert told.first_step + len(told.steps) == whole.first_step + len(whole.steps)
    names = [told.about(step)[0] for step in told.steps]
    assert names == [whole.about(step)[0] for step in whole.steps[-len(names) :]]
    assert {"worker 0", "worker 1", "worker 2"} <= set(names)
    times = [told.model["events"]["time"][step] for step in (told.steps[0], told.steps[-1])]
    assert 1_000_000 < times[0] < times[1], "since the start of the recording, not of what is kept"
    assert (tmp_path / "last").stat().st_size < (tmp_path / "all").stat().st_size


def test_what_came_before_keeps_its_name_if_it_is_no_task_of_ours(tmp_path: Path) -> None:
    async def naps(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0.001)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        with ours, peer:
            peer.setblocking(False)
            loop.add_reader(peer, lambda: peer.recv(1))
            in_c = asyncio.Task(naps(60), loop=loop, name="in C")
            for _ in range(60):
                ours.send(b"x")
                await asyncio.sleep(0.001)
            loop.remove_reader(peer)
            await in_c

    with recording(tmp_path / "last", last=40):
        miniloop.run(main())
    told = Recorded(tmp_path / "last")
    assert told.first_step > 100
    name = "test_what_came_before_keeps_its_name_if_it_is_no_task_of_ours.main"
    assert {told.thing(told._events["thing"][step]) for step in told.steps} >= {
        "task in C",
        f"callback {name}.<lambda>",
    }


def test_what_is_kept_can_be_written_while_the_loop_runs(tmp_path: Path) -> None:
    sizes = []

    async def main() -> None:
        with recording(tmp_path / "last", last=50) as session:
            await give_way(100)
            session.snapshot()
            sizes.append(len(Recorded(tmp_path / "last").steps))
            await give_way(100)

    miniloop.run(main())
    told = Recorded(tmp_path / "last")
    assert sizes[0] >= 50
    assert told.recording.ended == "returned"
    assert told.first_step > 100


def test_a_page_takes_the_place_of_the_file_if_the_name_says_so(tmp_path: Path) -> None:
    record(tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


@pytest.mark.parametrize("last", [0, -1])
def test_a_number_of_turns_that_makes_no_sense_is_refused(tmp_path: Path, last: int) -> None:
    with pytest.raises(ValueError, match="1 or more"), recording(tmp_path / "run", last=last):
        pass


def test_a_loop_that_is_closed_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    loop = miniloop.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"), recording(tmp_path / "run", loop=loop):
        pass
    assert not (tmp_path / "run").exists()


def test_a_second_recording_into_the_same_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with recording(tmp_path / "run.miniloop") as session:
        miniloop.run(give_way(1))
        for last in (None, 5):
            with (
                pytest.raises(FileExistsError, match="under way"),
                recording(tmp_path / "here" / ".." / "run.miniloop", last=last),
            ):
                pass
    assert read(session.path).ended == "returned"
    with recording(tmp_path / "run.miniloop"):  # it is over now
        pass


def test_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), recording(tmp_path / "none" / "run"):
        pass
    assert not miniloop.EventLoop.when_made


def test_loops_of_several_threads_are_recorded_apart(tmp_path: Path) -> None:
    async def meet(barrier: threading.Barrier, times: int) -> None:
        barrier.wait(30)
        await give_way(times)
        barrier.wait(30)

    barrier = threading.Barrier(2)
    with recording(tmp_path / "run"):
        thread = threading.Thread(target=miniloop.run, args=(meet(barrier, 500),))
        thread.start()
        miniloop.run(meet(barrier, 20))
        thread.join()
    loops = {numbers_of(data)[0] for letter, data in blocks_in(tmp_path / "run") if letter == "L"}
    assert loops == {0, 1}
    told = Recorded(tmp_path / "run")
    assert 500 < len(told.steps) < 520, "of the busier one"


def test_numbers_of_any_size_come_back(tmp_path: Path) -> None:
    for numbers in ([], [0, -1, 2**31 - 1], [2**31, -(2**62), 7]):
        # The head of a block is five bytes.
        (tmp_path / "block").write_bytes(b"miniloop recording 1\n" + pack_records(3, numbers))
        ((letter, data),) = blocks_in(tmp_path / "block")
        assert (letter, *numbers_of(data)) == ("L", 3, tuple(numbers))


@pytest.mark.parametrize("text", ["", "a", "four", "fives", "ä→𝄞", "\ud800"])
def test_texts_come_back(text: str) -> None:
    numbers = [*text_to_numbers(text), 99]
    again, end = text_of(numbers, 0)
    assert again == text.encode("utf-8", "replace").decode()
    assert numbers[end] == 99


def test_a_timer_that_is_far_away_and_a_long_sleep_have_their_numbers() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (86_400.0, 1e9, float("inf")):
            loop.call_later(delay, print).cancel()

    told = recorded(main)
    deadlines = [about[2] for about in told.all_about("timer set") if about[0] == "print"]
    assert deadlines[0] == pytest.approx(86_400e9, rel=0.01)
    assert deadlines[1] == pytest.approx(1e18, rel=0.01)

"""Host: a machine with a name, and the program that runs on it.

All hosts share one loop. Which host a task belongs to is told by a context variable, so that what a
task starts, and what its connections call, belongs to the same host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from miniloop.testing.network.machine import Machine

__all__ = ["Host", "current_host"]

T = TypeVar("T")

_current: ContextVar[Host | None] = ContextVar("miniloop simulated host", default=None)


def current_host() -> Host | None:
    """The host that the running task belongs to, or None."""
    return _current.get()


class Host:
    """A machine of a simulated network. Made by `Network.host`."""

    def __init__(
        self,
        name: str,
        addresses: tuple[str, ...],
        switch: Callable[..., None],
        note: Callable[[str], None],
    ) -> None:
        self._name = name
        self._addresses = addresses
        self._switch = switch  # (host, on): the network turns the machine on or off
        self._note = note
        self._main: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self.machine: Machine | None = None  # while a run lasts

    @property
    def name(self) -> str:
        """Its name, which the simulated resolver knows."""
        return self._name

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, beside 127.0.0.1 and ::1."""
        return self._addresses

    @property
    def address(self) -> str:
        """The first of them."""
        return self._addresses[0]

    @property
    def is_down(self) -> bool:
        """True after a crash, until it is started again."""
        return self.machine is not None and self.machine.is_down

    def __repr__(self) -> str:
        return (
            f"<Host {self._name} {', '.join(self._addresses)}{' (down)' if self.is_down else ''}>"
        )

    # Running programs.

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None
    ) -> asyncio.Task[T]:
        """Run a coroutine in a task on this host. Raises RuntimeError if it is down."""
        self._refuse_if_down(coro)
        context = copy_context()
        context.run(_current.set, self)
        return asyncio.get_running_loop().create_task(coro, name=name, context=context)

    async def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on this host, and give its result. Cancelling this cancels it."""
        return await self.create_task(coro)

    def start(self, main: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Run `main()` on this host now, and again after each restart."""
        self._main = main
        return self.create_task(main(), name=self._name)

    def _refuse_if_down(self, coro: Coroutine[Any, Any, Any]) -> None:
        if self.machine is None or self.machine.is_down:
            coro.close()
            why = "is not part of a running network" if self.machine is None else "is down"
            raise RuntimeError(f"host {self._name} {why}: nothing can run there")

    # Faults.

    def crash(self) -> None:
        """Lose power: nobody is told, connections are gone, tasks of this host are cancelled.

        What was on the wire still arrives. Peers find out when they send something: they hear
        nothing while the host is down, and a reset once it is up again.
        """
        if not self.is_down:
            self._switch(self, False)

    def restart(self) -> None:
        """Come back, with nothing but the program that was given to `start`."""
        if self.is_down:
            self._switch(self, True)
            if self._main is not None:
                self.create_task(self._main(), name=self._name)

    def read_slowly(self, rate: float | None) -> None:
        """Let the programs here read so many bytes a second from each TCP connection's buffer.

        None for as many as there are. All connections of the host share the rate.
        """
        if self.machine is not None:
            self.machine.reading.limit(rate)
            speed = "as fast as it can" if rate is None else f"{rate:g} bytes a second"
            self._note(f"reads {speed}: {self._name}")

    def cancel_tasks(self, tasks: list[Any]) -> None:
        """Cancel those of these tasks of ours that belong here, but for the one that is running."""
        try:
            running = asyncio.current_task()
        except RuntimeError:
            running = None
        for task in tasks:
            if task is not running and task.get_context().get(_current) is self:
                task.cancel(f"host {self._name} has crashed")

    def begin(self, machine: Machine) -> None:
        """A run begins, or the host comes back, with this machine."""
        self.machine = machine

    def forget(self) -> None:
        """A run begins: be as new."""
        self.machine = None
        self._main = None

"""What an event loop *is*: a ready queue, timers, a poller, futures and tasks.

Nothing here knows a protocol, an address, a certificate or a process, and nothing here imports
from `miniloop.net`, `miniloop.system` or `miniloop.loop`. Read in this order: `handle`, `timers`,
`poller`, `wakeup`, `scheduler`, `future`, `task`; then `debug`, which puts other classes in the
place of the usual ones.
"""

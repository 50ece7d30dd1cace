"""A simulated network: hosts, links, names and faults, in memory and in the loop's own time.

Read in this order: `network`, what a test uses; `host`, where programs run; `wire`, how packets
travel; `tcp` and `udp`, what a kernel keeps of a connection; `machine`, its ports and addresses;
`bare_socket` and `simulated_socket`, what a program holds; `names`, the resolver; `faults`, chance.
"""

from miniloop.testing.network.faults import Faults
from miniloop.testing.network.host import Host, current_host
from miniloop.testing.network.network import Network
from miniloop.testing.network.wire import Link

__all__ = ["Faults", "Host", "Link", "Network", "current_host"]

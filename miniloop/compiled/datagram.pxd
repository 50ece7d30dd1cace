cimport cython
from miniloop.kernel.core cimport (
    Slot,
    find_slot,
    get_slot,
    learn_sockets,
    receive_from,
    send_bytes,
    send_to,
    set_slot,
)
from miniloop.net.burst cimport Burst
from miniloop.net.flow_control cimport WriteMarks

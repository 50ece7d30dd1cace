cimport cython
from miniloop.kernel.core cimport (
    Slot,
    find_slot,
    get_slot,
    learn_sockets,
    name_of,
    receive_bytes,
    receive_into,
    send_bytes,
    set_slot,
)
from miniloop.net.flow_control cimport WriteMarks
from miniloop.net.write_buffer cimport WriteBuffer

cimport cython
from miniloop.kernel.core cimport Slot, find_slot, get_slot, set_slot
from miniloop.net.flow_control cimport WriteMarks

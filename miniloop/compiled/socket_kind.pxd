from miniloop.kernel.core cimport accept_connection, can_accept, learn_sockets

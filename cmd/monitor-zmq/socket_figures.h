/*
 * socket_figures.h - the figures of a socket, as rows of a table (figures.h).
 */
#ifndef MONITOR_ZMQ_SOCKET_FIGURES_H
#define MONITOR_ZMQ_SOCKET_FIGURES_H

#include "figures.h"
#include "socket.h"

#define SOCKET_FIGURE(name, help, type, member) \
	{ "monitor_zmq_" name, FIGURE_COUNTER, help, FIGURE_AT(type, member) }

/* `member` of `type` is a struct socket_stats. */
#define SOCKET_FIGURES(prefix, type, member) \
	SOCKET_FIGURE(prefix "connections_begun_total", "Connections made or taken in.", type, member.begun), \
	SOCKET_FIGURE(prefix "connections_total", "Of these, whose handshake was done.", type, member.connected), \
	SOCKET_FIGURE(prefix "handshakes_failed_total", "Of these, whose handshake failed.", type, member.refused), \
	SOCKET_FIGURE(prefix "connections_ended_total", "Of these, that ended.", type, member.ended), \
	SOCKET_FIGURE(prefix "sent_total", "Messages sent.", type, member.sent), \
	SOCKET_FIGURE(prefix "sent_bytes_total", "Bytes of messages sent.", type, member.sent_bytes), \
	SOCKET_FIGURE(prefix "received_total", "Messages received.", type, member.received), \
	SOCKET_FIGURE(prefix "received_bytes_total", "Bytes of messages received.", type, member.received_bytes)

#endif

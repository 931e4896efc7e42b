/*
 * Network namespaces of tenants, seen from the daemon: sockets that are in one.
 */
#ifndef TEN_NETNS_H
#define TEN_NETNS_H

#include <netlink/netlink.h>
#include <sys/types.h>

#include "error.h"

/* A netlink socket of PROTOCOL in the namespace of process PID; nl_socket_free(). It keeps the
 * namespace, and what is in it, alive. NULL with *err. */
struct nl_sock *netns_connect(pid_t pid, int protocol, struct ten_error *err);

#endif

#include "daemon/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "mem.h"

static int open_of(const char *pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

struct nl_sock *netns_connect(pid_t pid, int protocol, struct ten_error *err)
{
	char number[16];
	autoclose int theirs = -1;
	autoclose int ours = open_of("self");
	struct nl_sock *sock;
	int rc;

	snprintf(number, sizeof(number), "%d", (int)pid);
	theirs = open_of(number);
	if (ours < 0 || theirs < 0 || setns(theirs, CLONE_NEWNET) < 0) {
		ten_error_set(err, errno, "entering its network");
		return NULL;
	}
	sock = nl_socket_alloc();
	rc = sock ? nl_connect(sock, protocol) : -NLE_NOMEM;
	/* Nothing of ours would be right in there. */
	if (setns(ours, CLONE_NEWNET) < 0) {
		log_error("the way back from a tenant's network is closed");
		abort();
	}
	if (rc >= 0)
		return sock;
	nl_socket_free(sock);
	ten_error_set(err, 0, "a socket in its network: %s", nl_geterror(rc));
	return NULL;
}

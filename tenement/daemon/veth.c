#include "daemon/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/tbf.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/netns.h"
#include "daemon/private_rules.h"
#include "mem.h"

#define TENANT_END "eth0"
#define PAIR_BITS  31
#define BURST_MIN  (64 << 10) /* one packet as the kernel hands it over, not yet cut */
#define BURST_SECS 100        /* a hundredth of a second of it */
#define QUEUE_SECS 20         /* and a twentieth waits */

#define autosock __attribute__((cleanup(free_sock)))

static void free_sock(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static struct nl_sock *route_socket(struct ten_error *err)
{
	static struct nl_sock *sock;
	int rc;

	if (sock)
		return sock;
	sock = nl_socket_alloc();
	rc = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (rc >= 0)
		return sock;
	nl_socket_free(sock);
	sock = NULL;
	ten_error_set(err, 0, "rtnetlink: %s", nl_geterror(rc));
	return NULL;
}

static void name_of(const struct daemon *d, uint32_t index, char name[IFNAMSIZ])
{
	char prefix[PRIVATE_PREFIX_SIZE];

	private_rules_prefix(d, prefix);
	snprintf(name, IFNAMSIZ, "%s%u", prefix, (unsigned)(uint16_t)index);
}

/* ---- steps, each of which returns what libnl does ---- */

static int make_pair(struct nl_sock *sock, const char *name, pid_t pid)
{
	struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *peer = link ? rtnl_link_veth_get_peer(link) : NULL;
	int rc = -NLE_NOMEM;

	if (peer) {
		rtnl_link_set_name(link, name);
		rtnl_link_set_name(peer, TENANT_END);
		rtnl_link_set_ns_pid(peer, pid);
		rc = rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
	}
	if (peer)
		rtnl_link_put(peer);
	rtnl_link_put(link);
	return rc;
}

static int bring_up(struct nl_sock *sock, int index)
{
	struct rtnl_link *link = rtnl_link_alloc(), *changes = rtnl_link_alloc();
	int rc = -NLE_NOMEM;

	if (link && changes) {
		rtnl_link_set_ifindex(link, index);
		rtnl_link_set_ifindex(changes, index);
		rtnl_link_set_flags(changes, IFF_UP);
		rc = rtnl_link_change(sock, link, changes, 0);
	}
	rtnl_link_put(link);
	rtnl_link_put(changes);
	return rc;
}

static struct nl_addr *address_of(uint32_t address)
{
	uint32_t bytes = htonl(address);

	return nl_addr_build(AF_INET, &bytes, sizeof(bytes));
}

static int give_address(struct nl_sock *sock, int index, uint32_t address)
{
	struct nl_addr *local = address_of(address);
	struct rtnl_addr *addr = rtnl_addr_alloc();
	int rc = -NLE_NOMEM;

	if (local && addr) {
		nl_addr_set_prefixlen(local, PAIR_BITS);
		rtnl_addr_set_ifindex(addr, index);
		rc = rtnl_addr_set_local(addr, local);
	}
	if (rc >= 0)
		rc = rtnl_addr_add(sock, addr, 0);
	nl_addr_put(local);
	rtnl_addr_put(addr);
	return rc;
}

static int default_route(struct nl_sock *sock, int index, uint32_t gateway)
{
	struct nl_addr *via = address_of(gateway), *all = address_of(0);
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	int rc = -NLE_NOMEM;

	if (via && all && route && hop) {
		nl_addr_set_prefixlen(all, 0);
		rtnl_route_set_family(route, AF_INET);
		rtnl_route_set_dst(route, all);
		rtnl_route_nh_set_ifindex(hop, index);
		rtnl_route_nh_set_gateway(hop, via);
		rtnl_route_add_nexthop(route, hop);
		hop = NULL;
		rc = rtnl_route_add(sock, route, 0);
	}
	nl_addr_put(via);
	nl_addr_put(all);
	rtnl_route_put(route);
	if (hop)
		rtnl_route_nh_free(hop);
	return rc;
}

static int bound(struct nl_sock *sock, int index, int64_t mbit)
{
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();
	int bytes = (int)(mbit * 125000); /* a second; at most 1.25e9 */
	int burst = bytes / BURST_SECS > BURST_MIN ? bytes / BURST_SECS : BURST_MIN;
	int rc;

	if (!qdisc)
		return -NLE_NOMEM;
	rtnl_tc_set_ifindex(TC_CAST(qdisc), index);
	rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_ROOT);
	rc = rtnl_tc_set_kind(TC_CAST(qdisc), "tbf");
	if (rc >= 0 && !mbit) {
		rc = rtnl_qdisc_delete(sock, qdisc);
		/* (there was none) */
		if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_INVAL)
			rc = 0;
	} else if (rc >= 0) {
		rtnl_qdisc_tbf_set_rate(qdisc, bytes, burst, 0);
		rtnl_qdisc_tbf_set_limit(qdisc, burst + bytes / QUEUE_SECS);
		rc = rtnl_qdisc_add(sock, qdisc, NLM_F_CREATE | NLM_F_REPLACE);
	}
	rtnl_qdisc_put(qdisc);
	return rc;
}

/* Its addresses are of IPv4; what IPv6 would make by itself is not wanted. */
static void without_ipv6(const char *name)
{
	autofree char *path = mem_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		log_warn("%s: %s", path, strerror(errno));
}

/* ---- the two ends ---- */

static int failed(int rc, const char *what, struct ten_error *err)
{
	return ten_error_set(err, 0, "its network: %s: %s", what, nl_geterror(rc));
}

static int link_index(struct nl_sock *sock, const char *name, int *index)
{
	struct rtnl_link *link;
	int rc = rtnl_link_get_kernel(sock, 0, name, &link);

	if (rc < 0)
		return rc;
	*index = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	return 0;
}

/* (A bound on an interface that is up already would take the kernel milliseconds.) */
static int set_up_host(struct nl_sock *sock, const char *name, const struct run *run, int64_t mbit,
	struct ten_error *err)
{
	int index, rc;

	without_ipv6(name);
	rc = link_index(sock, name, &index);
	if (rc >= 0 && mbit && (rc = bound(sock, index, mbit)) < 0)
		return failed(rc, "bandwidth_mbit", err);
	if (rc < 0 || (rc = give_address(sock, index, run->network.address - 1)) < 0 ||
		(rc = bring_up(sock, index)) < 0)
		return failed(rc, name, err);
	return 0;
}

static int set_up_tenant(const struct run *run, int64_t mbit, struct ten_error *err)
{
	autosock struct nl_sock *sock = netns_connect(run->pid, NETLINK_ROUTE, err);
	int index, rc;

	if (!sock)
		return -1;
	rc = link_index(sock, TENANT_END, &index);
	if (rc >= 0 && mbit && (rc = bound(sock, index, mbit)) < 0)
		return failed(rc, "bandwidth_mbit", err);
	if (rc < 0 || (rc = give_address(sock, index, run->network.address)) < 0 ||
		(rc = bring_up(sock, index)) < 0 ||
		(rc = default_route(sock, index, run->network.address - 1)) < 0)
		return failed(rc, TENANT_END, err);
	return 0;
}

/* Whether the machine has ADDRESS: by another tenement of the same range, or a link that is about
 * to go. Two links with one address would lead to the tenant of the first. */
static bool is_ours(uint32_t address)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(address)
	};
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* To an address of its own the machine goes from that. (Nothing is sent.) */
	return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	       getsockname(fd, (struct sockaddr *)&from, &len) == 0 &&
	       from.sin_addr.s_addr == to.sin_addr.s_addr;
}

int veth_make(
	struct daemon *d, const struct run *run, int64_t mbit, bool *taken, struct ten_error *err)
{
	struct nl_sock *sock = route_socket(err);
	char name[IFNAMSIZ];
	int rc;

	*taken = false;
	if (!sock)
		return -1;
	name_of(d, run->network.index, name);
	if (is_ours(run->network.address - 1)) {
		*taken = true;
		return ten_error_set(
			err, 0, "its network: the addresses of private_range are in use already");
	}
	rc = make_pair(sock, name, run->pid);
	if (rc < 0) {
		*taken = rc == -NLE_EXIST;
		return failed(rc, name, err);
	}
	if (set_up_host(sock, name, run, mbit, err) < 0)
		return -1;
	return set_up_tenant(run, mbit, err);
}

int veth_set_bandwidth(struct daemon *d, const struct run *run, int64_t mbit, struct ten_error *err)
{
	autosock struct nl_sock *theirs = netns_connect(run->pid, NETLINK_ROUTE, err);
	struct nl_sock *sock = route_socket(err);
	char name[IFNAMSIZ];
	int index, rc;

	if (!sock || !theirs)
		return -1;
	name_of(d, run->network.index, name);
	if ((rc = link_index(sock, name, &index)) < 0 || (rc = bound(sock, index, mbit)) < 0 ||
		(rc = link_index(theirs, TENANT_END, &index)) < 0 ||
		(rc = bound(theirs, index, mbit)) < 0)
		return failed(rc, "bandwidth_mbit", err);
	return 0;
}

/* ---- what was left ---- */

static bool is_in_use(const struct daemon *d, const char *name)
{
	struct run *run, *next;
	char own[IFNAMSIZ];

	HASH_ITER (by_pid, d->runs, run, next) {
		name_of(d, run->network.index, own);
		if (run->network.kind == NETWORK_PRIVATE && strcmp(name, own) == 0)
			return true;
	}
	return false;
}

void veth_sweep(struct daemon *d)
{
	struct if_nameindex *list = if_nameindex();
	struct nl_sock *sock = route_socket(NULL);
	char prefix[PRIVATE_PREFIX_SIZE];

	private_rules_prefix(d, prefix);
	for (struct if_nameindex *one = list; sock && one && one->if_index; one++) {
		struct rtnl_link *link;

		if (strncmp(one->if_name, prefix, strlen(prefix)) != 0 ||
			is_in_use(d, one->if_name) || !(link = rtnl_link_alloc()))
			continue;
		rtnl_link_set_ifindex(link, (int)one->if_index);
		if (rtnl_link_delete(sock, link) >= 0)
			log_info("removed the interface %s, which was left", one->if_name);
		rtnl_link_put(link);
	}
	if (list)
		if_freenameindex(list);
}

int veth_probe(struct daemon *d, struct ten_error *err)
{
	struct nl_sock *sock = route_socket(err);
	char name[IFNAMSIZ];
	int rc;

	if (!sock)
		return -1;
	name_of(d, 0, name);
	rc = make_pair(sock, name, getpid());
	return rc < 0 ? ten_error_set(err, 0, "a pair of interfaces (veth) cannot be made: %s",
				nl_geterror(rc))
		      : 0;
}

int veth_probe_bandwidth(struct daemon *d, struct ten_error *err)
{
	struct nl_sock *sock = route_socket(err);
	char name[IFNAMSIZ];
	int index, rc;

	if (!sock)
		return -1;
	name_of(d, 0, name);
	if ((rc = link_index(sock, name, &index)) < 0 || (rc = bound(sock, index, 1)) < 0)
		return ten_error_set(
			err, 0, "the kernel has no token bucket (sch_tbf): %s", nl_geterror(rc));
	return 0;
}

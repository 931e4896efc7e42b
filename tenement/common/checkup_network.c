/* What a tenant's own network is made of. All is tried in a network namespace that ends with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/checkup.h"
#include "common/files.h"
#include "mem.h"

#define GROUP   "network"
#define FORWARD "/proc/sys/net/ipv4/ip_forward"

static int enter_namespace(void)
{
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		return errno;
	return unshare(CLONE_NEWNET) < 0 ? errno : 0;
}

/* A message of netlink with its attributes behind it. */
struct message {
	struct nlmsghdr header;
	char room[512];
};

static void *put(struct message *message, const void *data, size_t len)
{
	char *at = (char *)message + NLMSG_ALIGN(message->header.nlmsg_len);

	memcpy(at, data, len);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + (uint32_t)len;
	return at;
}

static struct rtattr *put_attribute(
	struct message *message, unsigned short type, const void *data, size_t len)
{
	struct rtattr attribute = { .rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type };
	struct rtattr *at = put(message, &attribute, sizeof(attribute));

	if (len)
		put(message, data, len);
	return at;
}

static void end_nest(struct message *message, struct rtattr *nest)
{
	nest->rta_len =
		(unsigned short)((char *)message + message->header.nlmsg_len - (char *)nest);
}

/* Send it and wait for what the kernel says: 0, or an errno. */
static int ask(int protocol, struct message *message)
{
	struct timeval patience = { .tv_sec = 2 };
	_Alignas(struct nlmsghdr) char answer[4096];
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	ssize_t len;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		send(fd, message, message->header.nlmsg_len, 0) < 0)
		return errno;
	len = recv(fd, answer, sizeof(answer), 0);
	if (len < (ssize_t)sizeof(*header))
		return len < 0 ? errno : EPROTO;
	if (header->nlmsg_type != NLMSG_ERROR)
		return 0;
	return -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}

static int try_nftables(void *data)
{
	struct message message = {
		.header = { .nlmsg_len = NLMSG_HDRLEN,
			.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
	};
	struct nfgenmsg family = { .nfgen_family = AF_UNSPEC };
	int code = enter_namespace();

	(void)data;
	put(&message, &family, sizeof(family));
	return code ? code : ask(NETLINK_NETFILTER, &message);
}

static int try_veth(void *data)
{
	struct message message = {
		.header = { .nlmsg_len = NLMSG_HDRLEN,
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
	};
	struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	struct rtattr *nest;
	int code = enter_namespace();

	(void)data;
	put(&message, &link, sizeof(link));
	nest = put_attribute(&message, IFLA_LINKINFO, NULL, 0);
	put_attribute(&message, IFLA_INFO_KIND, "veth", 4);
	end_nest(&message, nest);
	return code ? code : ask(NETLINK_ROUTE, &message);
}

/* One without options is refused where the kernel knows the kind, and not found where not. */
static int try_tc(void *data)
{
	struct message message = {
		.header = { .nlmsg_len = NLMSG_HDRLEN,
			.nlmsg_type = RTM_NEWQDISC,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
	};
	struct tcmsg queue = { .tcm_family = AF_UNSPEC, .tcm_ifindex = 1, .tcm_parent = TC_H_ROOT };
	int code = enter_namespace();

	(void)data;
	put(&message, &queue, sizeof(queue));
	put_attribute(&message, TCA_KIND, "tbf", 4);
	if (!code)
		code = ask(NETLINK_ROUTE, &message);
	return code == EINVAL ? 0 : code;
}

static const char *said(int code)
{
	return code ? strerror(code) : "there";
}

static void find_forwarding(struct checkup *checkup)
{
	autofree char *text = files_read(AT_FDCWD, FORWARD, 16, NULL, NULL);
	bool on = text && *text == '1', may = access(FORWARD, W_OK) == 0;
	struct checkup_finding *finding = checkup_add(checkup, GROUP, "IPv4 forwarding", on || may,
		"no egress for tenants with network = \"private\"", "sysctl net.ipv4.ip_forward=1",
		"%s",
		on    ? "on"
		: may ? "off, and switched on when it is needed"
		      : "off");

	checkup_need(finding, "egress", NULL);
}

static void find_ports(struct checkup *checkup)
{
	autofree char *text =
		files_read(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", 256, NULL, NULL);
	unsigned first = 0, last = 0, from = 0, to = 0;
	bool apart;

	if (sscanf(checkup->settings->port_range ? checkup->settings->port_range : "", "%u-%u",
		    &first, &last) != 2)
		return;
	if (!text || sscanf(text, "%u %u", &from, &to) != 2)
		return;
	apart = last < from || first > to;
	checkup_add(checkup, GROUP, "port_range", apart,
		"an outgoing connection of the machine may have a tenant's port when it starts",
		"choose a port_range outside net.ipv4.ip_local_port_range",
		"%u-%u, the machine's own %u-%u", first, last, from, to);
	if (last - first + 1 < checkup->tenants)
		checkup_add(checkup, GROUP, "ports for all", false,
			"not all declared tenants can run at the same time", "a larger port_range",
			"%u ports, %zu tenants", last - first + 1, checkup->tenants);
}

void checkup_network(struct checkup *checkup)
{
	struct checkup_finding *finding;
	int code = checkup_try(try_nftables, NULL);

	finding = checkup_add(checkup, GROUP, "nftables", !code,
		"other tenants and users of the machine can connect to tenants' ports",
		"root (CAP_NET_ADMIN), and a kernel with nf_tables", "%s", said(code));
	checkup_need(finding, "network", "private");
	code = checkup_try(try_veth, NULL);
	finding = checkup_add(checkup, GROUP, "veth", !code, "no network = \"private\"",
		"root (CAP_NET_ADMIN), and modprobe veth", "%s", said(code));
	checkup_need(finding, "network", "private");
	code = checkup_try(try_tc, NULL);
	finding = checkup_add(checkup, GROUP, "traffic control (tbf)", !code, "no bandwidth_mbit",
		"root (CAP_NET_ADMIN), and modprobe sch_tbf", "%s", said(code));
	checkup_need(finding, "bandwidth_mbit", NULL);
	find_forwarding(checkup);
	find_ports(checkup);
}

#include "daemon/nft.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <nftables/libnftables.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "mem.h"

#define WATCHED_MAX 2

static struct nft_ctx *context;

static struct watched {
	const char *table;
	void (*gone)(struct daemon *d);
	bool is_gone;
} watched[WATCHED_MAX];
static size_t watched_count;
static struct nl_sock *events;
static ev_io events_io;

/* The first line of what it says: the rest points into a command that the reader has not seen. */
static void take_reason(struct ten_error *err)
{
	const char *said = nft_ctx_get_error_buffer(context);

	if (said && strncmp(said, "Error: ", 7) == 0)
		said += 7;
	ten_error_set(
		err, 0, "nftables: %.*s", (int)strcspn(said ? said : "", "\n"), said ? said : "");
}

/* The library ends the process where it gets no socket: a kernel without it, no descriptor left. */
static int try_socket(struct ten_error *err)
{
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	return fd < 0 ? ten_error_set(err, errno, "nftables") : 0;
}

int nft_run(const char *commands, struct ten_error *err)
{
	int rc;

	if (!context) {
		if (try_socket(err) < 0)
			return -1;
		context = nft_ctx_new(NFT_CTX_DEFAULT);
		if (!context || nft_ctx_buffer_error(context) || nft_ctx_buffer_output(context))
			return ten_error_set(err, 0, "nftables: no memory");
	}
	rc = nft_run_cmd_from_buffer(context, commands);
	if (rc)
		take_reason(err);
	/* (asking for it empties it) */
	nft_ctx_get_output_buffer(context);
	return rc ? -1 : 0;
}

/* ---- what others do to our tables ---- */

static int on_message(struct nl_msg *message, void *data)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	struct nlattr *attributes[NFTA_TABLE_MAX + 1];
	int kind = header->nlmsg_type & 0xff;

	(void)data;
	if (header->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
		(kind != NFT_MSG_DELTABLE && kind != NFT_MSG_NEWTABLE) ||
		nlmsg_parse(nlmsg_hdr(message), sizeof(struct nfgenmsg), attributes, NFTA_TABLE_MAX,
			NULL) < 0 ||
		!attributes[NFTA_TABLE_NAME])
		return NL_OK;
	for (size_t i = 0; i < watched_count; i++)
		if (strcmp(nla_get_string(attributes[NFTA_TABLE_NAME]), watched[i].table) == 0)
			watched[i].is_gone = kind == NFT_MSG_DELTABLE;
	return NL_OK;
}

/* When we make a table anew it goes and comes: what counts is what came last. */
static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
	int rc;

	(void)io;
	(void)revents;
	do {
		rc = nl_recvmsgs_default(events);
	} while (rc == 0);
	/* More than it could hold: ours may have been among them. */
	if (rc == -NLE_NOMEM)
		for (size_t i = 0; i < watched_count; i++)
			watched[i].is_gone = true;
	for (size_t i = 0; i < watched_count; i++) {
		if (!watched[i].is_gone)
			continue;
		watched[i].is_gone = false;
		watched[i].gone(ev_userdata(loop));
	}
}

static void listen_for_events(struct daemon *d)
{
	int rc;

	events = nl_socket_alloc();
	if (!events)
		return;
	nl_socket_disable_seq_check(events);
	nl_socket_modify_cb(events, NL_CB_VALID, NL_CB_CUSTOM, on_message, NULL);
	rc = nl_connect(events, NETLINK_NETFILTER);
	if (rc >= 0)
		rc = nl_socket_add_membership(events, NFNLGRP_NFTABLES);
	if (rc >= 0)
		rc = nl_socket_set_nonblocking(events);
	if (rc < 0) {
		log_warn("nftables: what others do to our tables is not seen: %s", nl_geterror(rc));
		nl_socket_free(events);
		events = NULL;
		return;
	}
	ev_io_init(&events_io, on_events, nl_socket_get_fd(events), EV_READ);
	ev_io_start(d->loop, &events_io);
}

void nft_watch(struct daemon *d, const char *table, void (*gone)(struct daemon *d))
{
	for (size_t i = 0; i < watched_count; i++)
		if (watched[i].table == table)
			return;
	if (watched_count == WATCHED_MAX)
		return;
	watched[watched_count++] = (struct watched){ .table = table, .gone = gone };
	if (!events)
		listen_for_events(d);
}

void nft_stop(struct daemon *d)
{
	watched_count = 0;
	if (events) {
		ev_io_stop(d->loop, &events_io);
		nl_socket_free(events);
		events = NULL;
	}
	if (context)
		nft_ctx_free(context);
	context = NULL;
}

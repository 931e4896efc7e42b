#include "daemon/listening.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netlink/errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#define TCP_LISTEN_STATE 10

struct answer {
	bool listens;
	uint32_t uid, inode;
};

static int on_message(struct nl_msg *message, void *data)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	const struct inet_diag_msg *found = nlmsg_data(header);
	struct answer *answer = data;

	if ((size_t)nlmsg_datalen(header) < sizeof(*found) ||
		found->idiag_state != TCP_LISTEN_STATE)
		return NL_OK;
	answer->listens = true;
	answer->uid = found->idiag_uid;
	answer->inode = found->idiag_inode;
	return NL_OK;
}

/* One socket for the life of the daemon. */
static struct nl_sock *diag_socket(struct ten_error *err)
{
	static struct nl_sock *sock;
	int rc;

	if (sock)
		return sock;
	sock = nl_socket_alloc();
	rc = sock ? nl_connect(sock, NETLINK_SOCK_DIAG) : -NLE_NOMEM;
	if (rc < 0) {
		ten_error_set(err, 0, "asking who listens (sock_diag): %s", nl_geterror(rc));
		nl_socket_free(sock);
		sock = NULL;
		return NULL;
	}
	nl_socket_disable_auto_ack(sock);
	return sock;
}

int listening_on_port(struct nl_sock *place, uint32_t address, uint16_t port, uint32_t *uid,
	uint32_t *inode, struct ten_error *err)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = AF_INET,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = 1u << TCP_LISTEN_STATE,
		.id = { .idiag_sport = htons(port),
			.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	struct nl_sock *sock = place ? place : diag_socket(err);
	struct answer answer = { 0 };
	int rc;

	if (!sock)
		return -1;
	request.id.idiag_src[0] = htonl(address);
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, &answer);
	rc = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, &request, sizeof(request));
	if (rc >= 0)
		rc = nl_recvmsgs_default(sock);
	if (rc < 0 && rc != -NLE_OBJ_NOTFOUND)
		return ten_error_set(err, 0, "asking who listens (sock_diag): %s", nl_geterror(rc));
	*uid = answer.uid;
	*inode = answer.inode;
	return answer.listens;
}

struct wanted_file {
	uint32_t inode, device;
	bool listens;
};

static int on_unix(struct nl_msg *message, void *data)
{
	struct nlattr *attributes[UNIX_DIAG_MAX + 1];
	struct wanted_file *wanted = data;
	struct unix_diag_vfs vfs;

	if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct unix_diag_msg), attributes, UNIX_DIAG_MAX,
		    NULL) < 0 ||
		!attributes[UNIX_DIAG_VFS] || nla_len(attributes[UNIX_DIAG_VFS]) < (int)sizeof(vfs))
		return NL_OK;
	memcpy(&vfs, nla_data(attributes[UNIX_DIAG_VFS]), sizeof(vfs));
	if (vfs.udiag_vfs_ino == wanted->inode && vfs.udiag_vfs_dev == wanted->device)
		wanted->listens = true;
	return NL_OK;
}

int listening_on_file(struct nl_sock *place, const struct stat *file)
{
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX,
		.udiag_states = 1u << TCP_LISTEN_STATE,
		.udiag_show = UDIAG_SHOW_VFS,
	};
	/* The kernel's own way of putting a device into 32 bits. */
	struct wanted_file wanted = { .inode = (uint32_t)file->st_ino,
		.device = major(file->st_dev) << 20 | minor(file->st_dev) };
	struct nl_sock *sock = place ? place : diag_socket(NULL);
	int rc;

	if (!sock)
		return -1;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_unix, &wanted);
	rc = nl_send_simple(
		sock, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, &request, sizeof(request));
	if (rc >= 0)
		rc = nl_recvmsgs_default(sock);
	return rc < 0 ? -1 : wanted.listens;
}

static int on_queue(struct nl_msg *message, void *data)
{
	struct nlattr *attributes[UNIX_DIAG_MAX + 1];
	struct unix_diag_rqlen queue;
	int *length = data;

	if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct unix_diag_msg), attributes, UNIX_DIAG_MAX,
		    NULL) < 0 ||
		!attributes[UNIX_DIAG_RQLEN] ||
		nla_len(attributes[UNIX_DIAG_RQLEN]) < (int)sizeof(queue))
		return NL_OK;
	memcpy(&queue, nla_data(attributes[UNIX_DIAG_RQLEN]), sizeof(queue));
	*length = (int)queue.udiag_rqueue;
	return NL_OK;
}

int listening_queue(int fd)
{
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX,
		.udiag_states = 1u << TCP_LISTEN_STATE,
		.udiag_show = UDIAG_SHOW_RQLEN,
		.udiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	struct nl_sock *sock = diag_socket(NULL);
	struct stat st;
	int length = -1;
	int rc;

	if (!sock || fstat(fd, &st) < 0)
		return -1;
	request.udiag_ino = (uint32_t)st.st_ino;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_queue, &length);
	rc = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, &request, sizeof(request));
	if (rc >= 0)
		rc = nl_recvmsgs_default(sock);
	return rc < 0 ? -1 : length;
}

static int on_peer(struct nl_msg *message, void *data)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	const struct inet_diag_msg *found = nlmsg_data(header);
	struct answer *answer = data;

	/* (what nobody holds any more has no inode, and may have root's uid) */
	if ((size_t)nlmsg_datalen(header) < sizeof(*found) || !found->idiag_inode)
		return NL_OK;
	answer->uid = found->idiag_uid;
	answer->inode = found->idiag_inode;
	return NL_OK;
}

int listening_peer(
	const char *address, uint16_t port, const char *to, uint16_t to_port, uint32_t *uid)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = strchr(address, ':') ? AF_INET6 : AF_INET,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = UINT32_MAX,
		.id = { .idiag_sport = htons(port),
			.idiag_dport = htons(to_port),
			.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	struct nl_sock *sock = diag_socket(NULL);
	struct answer answer = { 0 };
	int rc;

	if (!sock || inet_pton(request.sdiag_family, address, request.id.idiag_src) != 1 ||
		inet_pton(request.sdiag_family, to, request.id.idiag_dst) != 1)
		return -1;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_peer, &answer);
	rc = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, &request, sizeof(request));
	if (rc >= 0)
		rc = nl_recvmsgs_default(sock);
	if (rc < 0 && rc != -NLE_OBJ_NOTFOUND)
		return -1;
	*uid = answer.uid;
	return answer.inode != 0;
}

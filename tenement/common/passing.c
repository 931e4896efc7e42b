#include "common/passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int passing_send(int socket, const struct wire_buffer *buffer, const int *fds, int fd_count)
{
	struct iovec io = { .iov_base = (void *)buffer->bytes, .iov_len = buffer->len };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * PASSING_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	ssize_t sent;

	if (fd_count > PASSING_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (fd_count > 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

static void take_fds(struct msghdr *message, struct passing *into)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
		header = CMSG_NXTHDR(message, header)) {
		size_t count;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && into->fd_count < PASSING_FDS_MAX; i++)
			memcpy(&into->fds[into->fd_count++], CMSG_DATA(header) + i * sizeof(int),
				sizeof(int));
	}
}

int passing_receive(int socket, struct passing *into)
{
	struct iovec io = { .iov_base = into->bytes, .iov_len = sizeof(into->bytes) };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * PASSING_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct msghdr message = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };

	into->fd_count = 0;
	do
		into->len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (into->len < 0 && errno == EINTR);
	if (into->len < 0)
		return -1;
	take_fds(&message, into);
	if (into->len == 0) {
		passing_close_fds(into);
		return 0;
	}
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		!wire_parse(into->bytes, (size_t)into->len, &into->wire)) {
		passing_close_fds(into);
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

void passing_close_fds(struct passing *message)
{
	for (int i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	}
	message->fd_count = 0;
}

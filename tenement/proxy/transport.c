#include "transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proxy/exchange.h"
#include "proxy/worker.h"

#define JOIN_MAX 1024 /* bytes that are sooner copied than gathered */

static size_t add_pending(struct iovec *parts, size_t count, const struct http_window *window)
{
	uint32_t len = transport_pending(window);

	if (!len)
		return count;
	parts[count] = (struct iovec){ window->data + window->at, len };
	return count + 1;
}

static void advance(struct http_window *window, size_t *bytes)
{
	uint32_t len = transport_pending(window);
	uint32_t part = *bytes < len ? (uint32_t)*bytes : len;

	window->at += part;
	*bytes -= part;
}

enum moved transport_write(
	int fd, struct http_window *first, struct http_window *second, size_t *bytes)
{
	struct iovec parts[2];
	struct msghdr message = { .msg_iov = parts };
	ssize_t sent;
	size_t left;

	*bytes = 0;
	if (first)
		message.msg_iovlen = add_pending(parts, 0, first);
	message.msg_iovlen = add_pending(parts, message.msg_iovlen, second);
	if (!message.msg_iovlen)
		return MOVED_ALL;
	/* A vector costs the kernel more than a plain buffer. */
	if (message.msg_iovlen == 1)
		sent = send(fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
	else
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_BLOCKED : MOVED_ERROR;
	*bytes = left = (size_t)sent;
	if (first)
		advance(first, &left);
	advance(second, &left);
	if ((first && transport_pending(first)) || transport_pending(second))
		return MOVED_BLOCKED;
	return MOVED_ALL;
}

void transport_join(struct http_window *first, struct http_window *second)
{
	uint32_t len = transport_pending(second);

	if (!len || len > JOIN_MAX || !transport_pending(first) || len > first->room - first->end)
		return;
	memcpy(first->data + first->end, second->data + second->at, len);
	first->end = first->ready += len;
	second->at += len;
}

enum moved transport_read(struct exchange *exchange, int fd, struct http_window *window)
{
	struct buffer_pool *pool = &exchange->worker->buffers;
	size_t space;
	ssize_t got;

	if (!window->data && !(exchange->bulk && buffer_take_large(pool, window)) &&
		!buffer_take(pool, window, BUFFER_BYTES))
		return MOVED_NO_MEMORY;
	http_window_reset(window);
	space = http_window_space(window);
	got = recv(fd, window->data + window->end, space, 0);
	if (got > 0) {
		if ((size_t)got == space)
			exchange->bulk = true;
		window->end += (uint32_t)got;
		return MOVED_ALL;
	}
	if (got == 0)
		return MOVED_EOF;
	return errno == EAGAIN || errno == EINTR ? MOVED_BLOCKED : MOVED_ERROR;
}

/* Bills are made from it: the daemon sets it to 0 when the slot is given to another tenant, who is
 * neither to pay for what was before nor for what still goes to clients of the one before. */
static void count(struct exchange *exchange, _Atomic uint64_t *counter, size_t bytes)
{
	enum instance_state state;

	if (!bytes || !route_table_state(exchange->worker->table, exchange->target, &state))
		return;
	atomic_fetch_add_explicit(counter, bytes, memory_order_relaxed);
	exchange_touch(exchange);
}

void transport_count_in(struct exchange *exchange, size_t bytes)
{
	count(exchange, &exchange->worker->cells[exchange->target.slot].bytes_in, bytes);
	/* (Until then what the client sent is known better from the request itself.) */
	if (exchange->note && exchange->state == EXCHANGE_TUNNEL)
		exchange->note->received += bytes;
}

void transport_count_out(struct exchange *exchange, size_t bytes)
{
	count(exchange, &exchange->worker->cells[exchange->target.slot].bytes_out, bytes);
	if (exchange->note)
		exchange->note->sent += bytes;
}

#include "daemon/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/control_connection.h"
#include "daemon/counters.h"
#include "daemon/endpoints.h"
#include "daemon/sessions.h"
#include "daemon/tokens.h"
#include "http_query.h"
#include "mem.h"

#define IDLE_SECONDS 60.0

static void watch(struct control_connection *connection)
{
	struct ev_loop *loop = connection->daemon->loop;
	int events = EV_READ;

	if (connection->sent < connection->out.len)
		events |= EV_WRITE;
	ev_io_stop(loop, &connection->io);
	ev_io_set(&connection->io, connection->fd, events);
	ev_io_start(loop, &connection->io);
}

/* What there is to send goes out; a connection that is done with is marked dead, and freed by the
 * one who called into it. */
void control_flush(struct control_connection *connection)
{
	while (connection->sent < connection->out.len) {
		ssize_t n = send(connection->fd, connection->out.data + connection->sent,
			connection->out.len - connection->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			connection->dead = true;
		if (n < 0)
			break;
		connection->sent += (size_t)n;
	}
	if (connection->sent == connection->out.len) {
		text_free(&connection->out);
		connection->sent = 0;
		if (connection->closing && !connection->streaming)
			connection->dead = true;
	}
	if (!connection->dead)
		watch(connection);
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

/* What was asked is answered, or never will be (STATUS 0). */
static void settle(struct control_connection *connection, int status)
{
	if (connection->to_audit || status == 401 || status == 403 || status == 429)
		control_audit(connection, status);
	connection->to_audit = false;
	if (status)
		counters_api(connection->right, status);
}

void control_write_down(struct control_call *call)
{
	call->connection->to_audit = true;
}

/* The head of an answer; TYPE is NULL where there is no body. */
static void write_head(
	struct control_connection *connection, int status, const char *type, size_t len)
{
	struct text *out = &connection->out;

	settle(connection, status);
	text_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	if (type)
		text_printf(out, "Content-Type: %s\r\n", type);
	if (status != 204 && status != 304)
		text_printf(out, "Content-Length: %zu\r\n", len);
	text_add(out, connection->headers.data ? connection->headers.data : "",
		connection->headers.len);
	text_free(&connection->headers);
	text_puts(out, "X-Content-Type-Options: nosniff\r\n");
	text_puts(out, connection->closing ? "Connection: close\r\n\r\n" : "\r\n");
}

static void write_answer(struct control_connection *connection, int status, json_t *json)
{
	autofree char *body = NULL;

	if (status == 204) {
		json_decref(json);
		write_head(connection, status, NULL, 0);
		control_flush(connection);
		return;
	}
	if (status >= 400 && json_is_object(json) && !json_object_get(json, "where") &&
		connection->path)
		json_object_set_new(json, "where",
			json_pack("{s:s, s:s}", "method", connection->method, "path",
				connection->path));
	/* jansson gives NULL for what is not UTF-8, which a path on disk may be. */
	body = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(json);
	if (!body) {
		status = 500;
		body = mem_strdup("{\"error\":\"the answer is not UTF-8\"}");
	}
	text_puts(&connection->headers, "Cache-Control: no-store\r\n");
	write_head(connection, status, "application/json", strlen(body) + 1);
	text_puts(&connection->out, body);
	text_puts(&connection->out, "\n");
	control_flush(connection);
}

void control_refuse_raw(struct control_connection *connection, int status, const char *why)
{
	connection->closing = true;
	write_answer(connection, status, json_pack("{s:s}", "error", why));
}

void control_answer(struct control_call *call, int status, json_t *json)
{
	write_answer(call->connection, status, json);
}

void control_answer_text(struct control_call *call, const char *type, const struct text *body)
{
	struct control_connection *connection = call->connection;

	write_head(connection, 200, type, body->len);
	text_add(&connection->out, body->data ? body->data : "", body->len);
	control_flush(connection);
}

void control_answer_empty(struct control_call *call, int status)
{
	write_head(call->connection, status, NULL, 0);
	control_flush(call->connection);
}

static void refuse(
	struct control_call *call, int status, json_t *where, const char *format, va_list args)
{
	char text[TEN_ERROR_TEXT_MAX];
	json_t *json;

	vsnprintf(text, sizeof(text), format, args);
	/* It may repeat what was asked, which can be any bytes. */
	text_make_plain(text);
	json = json_pack("{s:s}", "error", text);
	if (where)
		json_object_set_new(json, "where", where);
	control_answer(call, status, json);
}

void control_refuse(struct control_call *call, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, status, NULL, format, args);
	va_end(args);
}

void control_refuse_where(
	struct control_call *call, int status, json_t *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, status, where, format, args);
	va_end(args);
}

void control_add_header(struct control_call *call, const char *format, ...)
{
	struct text *headers = &call->connection->headers;
	char line[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	text_make_plain(line);
	text_printf(headers, "%s\r\n", line);
}

void control_time_anew(struct control_connection *connection)
{
	struct ev_loop *loop = connection->daemon->loop;

	ev_timer_stop(loop, &connection->timer);
	ev_timer_set(&connection->timer, IDLE_SECONDS, 0.);
	ev_timer_start(loop, &connection->timer);
}

static void end_wait(struct control_connection *connection)
{
	if (connection->release)
		connection->release(connection->data);
	connection->look = NULL;
	connection->release = NULL;
	connection->data = NULL;
	connection->goes_on = true;
	control_time_anew(connection);
}

/* A token that was revoked, or has expired, ends what it began; so does who signs out. */
static bool is_still_good(const struct control_connection *connection)
{
	return tokens_still_good(connection->daemon, &connection->who) &&
	       (!*connection->session || sessions_live(connection->session));
}

void control_look(struct control_connection *connection, bool time_is_up)
{
	int status = 200;
	json_t *answer =
		connection->look(connection->daemon, connection->data, time_is_up, &status);

	if (!answer)
		return;
	end_wait(connection);
	if (!is_still_good(connection)) {
		json_decref(answer);
		status = 401;
		answer = json_pack("{s:s}", "error", "what you came with is not good any more");
	}
	write_answer(connection, status, answer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_connection *connection = timer->data;

	(void)loop;
	(void)events;
	if (connection->look)
		control_look(connection, true);
	else if (!connection->streaming)
		connection->dead = true;
	if (connection->dead)
		control_connection_free(connection);
}

void control_wait(struct control_call *call, double seconds,
	json_t *(*look)(struct daemon *d, void *data, bool time_is_up, int *status), void *data,
	void (*release)(void *data))
{
	struct control_connection *connection = call->connection;
	struct ev_loop *loop = call->d->loop;

	connection->look = look;
	connection->data = data;
	connection->release = release;
	ev_timer_stop(loop, &connection->timer);
	ev_timer_set(&connection->timer, seconds, 0.);
	ev_timer_start(loop, &connection->timer);
}

void control_own(struct control_connection *connection, void *data, void (*release)(void *data))
{
	connection->data = data;
	connection->release = release;
}

void control_stream(struct control_call *call, const char *type, struct control_connection **handle)
{
	struct control_connection *connection = call->connection;

	settle(connection, 200);
	connection->streaming = true;
	ev_timer_stop(call->d->loop, &connection->timer);
	text_printf(&connection->out,
		"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
		"X-Content-Type-Options: nosniff\r\nTransfer-Encoding: chunked\r\n\r\n",
		type);
	control_flush(connection);
	*handle = connection;
}

bool control_send(struct control_connection *connection, const char *bytes, size_t len)
{
	connection->dead |= !is_still_good(connection);
	if (!len || connection->dead)
		return !connection->dead;
	text_printf(&connection->out, "%zx\r\n", len);
	text_add(&connection->out, bytes, len);
	text_puts(&connection->out, "\r\n");
	control_flush(connection);
	if (connection->out.len - connection->sent > CONTROL_OUTPUT_MAX)
		connection->dead = true;
	return !connection->dead;
}

size_t control_backlog(const struct control_connection *connection)
{
	return connection->out.len - connection->sent;
}

void control_cut(struct control_connection *connection)
{
	connection->dead = true;
}

void control_stream_end(struct control_connection *connection)
{
	text_puts(&connection->out, "0\r\n\r\n");
	connection->streaming = false;
	end_wait(connection);
	control_flush(connection);
}

/* ---- what is no HTTP any more ---- */

#define SENT_KEPT 65536 /* bytes that went already, before what follows is moved */

struct control_connection *control_take_over(struct control_call *call, const char *protocol,
	void (*moved)(struct control_connection *connection, void *data), void *data,
	void (*release)(void *data))
{
	struct control_connection *connection = call->connection;

	settle(connection, 101);
	connection->streaming = true;
	connection->closing = false;
	connection->moved = moved;
	ev_timer_stop(call->d->loop, &connection->timer);
	control_own(connection, data, release);
	text_printf(&connection->out,
		"HTTP/1.1 101 %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", reason_of(101),
		protocol);
	control_flush(connection);
	return connection;
}

void control_send_raw(struct control_connection *connection, const char *bytes, size_t len)
{
	struct text *out = &connection->out;

	if (connection->dead)
		return;
	if (connection->sent >= SENT_KEPT) {
		out->len -= connection->sent;
		memmove(out->data, out->data + connection->sent, out->len);
		connection->sent = 0;
	}
	text_add(out, bytes, len);
	control_flush(connection);
}

void control_take_over_end(struct control_connection *connection)
{
	connection->moved = NULL;
	connection->streaming = false;
	connection->closing = true;
	end_wait(connection);
	control_flush(connection);
}

/* ---- parameters ---- */

const char *control_string(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->body, name));
}

bool control_flag(const struct control_call *call, const char *name)
{
	return json_is_true(json_object_get(call->body, name));
}

double control_timeout(const struct control_call *call)
{
	const json_t *timeout = json_object_get(call->body, "timeout");
	double seconds = json_is_number(timeout) ? json_number_value(timeout) : 30;

	return seconds >= 0 && seconds <= 86400 ? seconds : 30;
}

bool control_query(const struct control_call *call, const char *name, char *out, size_t size)
{
	autofree char *value = http_query_get(call->query, name);

	if (value)
		snprintf(out, size, "%s", value);
	return value != NULL;
}

bool control_header(const struct control_call *call, const char *name, char *out, size_t size)
{
	const struct http_field *field = http_head_field(call->head, name);

	if (!field || field->value_len >= size)
		return false;
	memcpy(out, field->value, field->value_len);
	out[field->value_len] = '\0';
	return true;
}

bool control_is_own(const struct control_call *call)
{
	return call->who.local && (call->who.uid == 0 || call->who.uid == call->d->uid);
}

/* ---- connections ---- */

void control_connection_free(struct control_connection *connection)
{
	struct daemon *d = connection->daemon;

	settle(connection, 0);
	control_forget(d, connection);
	ev_io_stop(d->loop, &connection->io);
	ev_timer_stop(d->loop, &connection->timer);
	if (connection->release)
		connection->release(connection->data);
	close(connection->fd);
	text_free(&connection->in);
	text_free(&connection->out);
	text_free(&connection->headers);
	free(connection->method);
	free(connection->path);
	free(connection);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct control_connection *connection = io->data;
	char buffer[65536];
	ssize_t n;

	(void)loop;
	if (events & EV_WRITE)
		control_flush(connection);
	if (!connection->dead && (events & EV_READ)) {
		n = recv(connection->fd, buffer, sizeof(buffer), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			connection->dead = true;
		if (n > 0 && connection->in.len + (size_t)n > CONTROL_HEAD_MAX + CONTROL_BODY_MAX)
			connection->dead = true;
		else if (n > 0 && !connection->closing)
			text_add(&connection->in, buffer, (size_t)n);
	}
	while (!connection->dead && control_take_request(connection))
		;
	if (!connection->dead && connection->moved)
		connection->moved(connection, connection->data);
	if (connection->dead)
		control_connection_free(connection);
}

struct control_connection *control_connection_new(
	struct daemon *d, enum control_door door, int fd, uid_t uid)
{
	struct control_connection *connection = mem_alloc(sizeof(*connection));

	connection->daemon = d;
	connection->door = door;
	connection->fd = fd;
	connection->uid = uid;
	ev_io_init(&connection->io, on_io, fd, EV_READ);
	ev_timer_init(&connection->timer, on_timer, IDLE_SECONDS, 0.);
	connection->timer.data = connection;
	connection->io.data = connection;
	ev_timer_start(d->loop, &connection->timer);
	ev_io_start(d->loop, &connection->io);
	return connection;
}

#include "daemon/control.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "mem.h"
#include "text.h"
#include "wire.h"

#define CONNECTIONS_MAX 128
#define HEAD_MAX        16384
#define BODY_MAX        (8u << 20)
#define OUTPUT_MAX                                                                                 \
	(1u << 20) /* for a slow reader: a stream is cut off beyond, the next request waits */
#define IDLE_SECONDS  60.0
#define AGAIN_SECONDS 0.1

struct control_connection {
	struct daemon *daemon;
	int fd;
	uid_t uid;
	ev_io io;
	ev_timer timer; /* idleness, or the end of a wait */
	struct text in, out;
	size_t sent;
	struct http_head head;
	bool refused, closing, streaming, dead;
	json_t *(*look)(struct daemon *d, void *data, bool time_is_up, int *status);
	void *data;
	void (*release)(void *data);
	struct control_connection *next;
};

struct control {
	int fd;
	ev_io io;
	ev_timer again; /* runs while there is no descriptor for who wants to come in */
	char *path;
	bool any_group;
	gid_t group;
	struct control_connection *connections;
	unsigned count;
};

static void connection_free(struct control_connection *connection)
{
	struct daemon *d = connection->daemon;
	struct control_connection **link = &d->control->connections;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	d->control->count--;
	ev_io_stop(d->loop, &connection->io);
	ev_timer_stop(d->loop, &connection->timer);
	if (connection->release)
		connection->release(connection->data);
	close(connection->fd);
	text_free(&connection->in);
	text_free(&connection->out);
	free(connection);
}

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
static void flush(struct control_connection *connection)
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
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 422:
		return "Unprocessable Content";
	case 503:
		return "Service Unavailable";
	default:
		return "Error";
	}
}

static void write_answer(struct control_connection *connection, int status, json_t *json)
{
	/* jansson gives NULL for what is not UTF-8, which a path on disk may be. */
	autofree char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (!body) {
		status = 500;
		body = mem_strdup("{\"error\":\"the answer is not UTF-8\"}");
	}
	text_printf(&connection->out,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: "
		"%zu\r\n%s\r\n",
		status, reason_of(status), strlen(body) + 1,
		connection->closing ? "Connection: close\r\n" : "");
	text_puts(&connection->out, body);
	text_puts(&connection->out, "\n");
	flush(connection);
}

void control_answer(struct control_call *call, int status, json_t *json)
{
	write_answer(call->connection, status, json);
}

void control_answer_text(struct control_call *call, const char *type, const struct text *body)
{
	struct control_connection *connection = call->connection;

	text_printf(&connection->out,
		"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", type,
		body->len, connection->closing ? "Connection: close\r\n" : "");
	text_add(&connection->out, body->data, body->len);
	flush(connection);
}

void control_refuse(struct control_call *call, int status, const char *format, ...)
{
	char text[TEN_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* It may repeat what was asked, which can be any bytes. */
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			*at = '?';
	}
	control_answer(call, status, json_pack("{s:s}", "error", text));
}

static void end_wait(struct control_connection *connection)
{
	if (connection->release)
		connection->release(connection->data);
	connection->look = NULL;
	connection->release = NULL;
	connection->data = NULL;
	ev_timer_stop(connection->daemon->loop, &connection->timer);
	ev_timer_set(&connection->timer, IDLE_SECONDS, 0.);
	ev_timer_start(connection->daemon->loop, &connection->timer);
}

static void look_at(struct control_connection *connection, bool time_is_up)
{
	int status = 200;
	json_t *answer =
		connection->look(connection->daemon, connection->data, time_is_up, &status);

	if (!answer)
		return;
	end_wait(connection);
	write_answer(connection, status, answer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_connection *connection = timer->data;

	(void)loop;
	(void)events;
	if (connection->look)
		look_at(connection, true);
	else if (!connection->streaming)
		connection->dead = true;
	if (connection->dead)
		connection_free(connection);
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

void control_stream_as(
	struct control_call *call, const char *type, struct control_connection **handle)
{
	struct control_connection *connection = call->connection;

	connection->streaming = true;
	ev_timer_stop(call->d->loop, &connection->timer);
	text_printf(&connection->out,
		"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		type);
	flush(connection);
	*handle = connection;
}

void control_stream(struct control_call *call, struct control_connection **handle)
{
	control_stream_as(call, "application/x-ndjson", handle);
}

bool control_send(struct control_connection *connection, const char *bytes, size_t len)
{
	if (!len || connection->dead)
		return !connection->dead;
	text_printf(&connection->out, "%zx\r\n", len);
	text_add(&connection->out, bytes, len);
	text_puts(&connection->out, "\r\n");
	flush(connection);
	if (connection->out.len - connection->sent > OUTPUT_MAX)
		connection->dead = true;
	return !connection->dead;
}

void control_stream_end(struct control_connection *connection)
{
	text_puts(&connection->out, "0\r\n\r\n");
	connection->streaming = false;
	end_wait(connection);
	flush(connection);
}

void control_turn(struct daemon *d)
{
	struct control_connection *connection, *next;

	for (connection = d->control->connections; connection; connection = next) {
		next = connection->next;
		if (connection->look)
			look_at(connection, false);
		if (connection->dead)
			connection_free(connection);
	}
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
	autofree char *copy = mem_strdup(call->query);
	char *rest = copy, *pair;

	while ((pair = strsep(&rest, "&"))) {
		char *value = strchr(pair, '=');

		if (value)
			*value++ = '\0';
		if (strcmp(pair, name) != 0)
			continue;
		snprintf(out, size, "%s", value ? value : "");
		/* The names here need one escape alone. */
		for (char *at; (at = strstr(out, "%3A")) || (at = strstr(out, "%3a"));) {
			*at = ':';
			memmove(at + 1, at + 3, strlen(at + 3) + 1);
		}
		return true;
	}
	return false;
}

bool control_header(const struct control_call *call, const char *name, char *out, size_t size)
{
	const struct http_field *field = http_head_field(&call->connection->head, name);

	if (!field || field->value_len >= size)
		return false;
	memcpy(out, field->value, field->value_len);
	out[field->value_len] = '\0';
	return true;
}

/* ---- requests ---- */

static void dispatch(struct control_call *call)
{
	if (strcmp(call->path, "/health") == 0)
		control_answer(call, 200, json_pack("{s:s}", "status", "ok"));
	else if (!control_status(call) && !control_instances(call) && !control_routes(call) &&
		 !control_config(call) && !control_logs(call) && !control_metrics(call) &&
		 !control_upgrade(call) && !control_usage(call))
		control_refuse(call, 404, "this tenement knows no %s", call->path);
}

static void unescape(char *path)
{
	char *to = path;

	for (char *from = path; *from; from++, to++) {
		unsigned byte;

		if (*from == '%' && isxdigit((unsigned char)from[1]) &&
			isxdigit((unsigned char)from[2]) && sscanf(from + 1, "%2x", &byte) == 1 &&
			byte) {
			*to = (char)byte;
			from += 2;
		} else {
			*to = *from;
		}
	}
	*to = '\0';
}

/* Whether the call is one that changes files and waits for what becomes of it. */
static bool writes_files(const struct control_call *call)
{
	static const char *const paths[] = { "/api/instances/spawn", "/api/config/apply",
		"/api/undo" };
	const char *verb = strrchr(call->path, '/');

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (strcmp(call->path, paths[i]) == 0)
			return !control_flag(call, "dry_run");
	return control_flag(call, "declare") || (verb && strcmp(verb, "/undeclare") == 0);
}

static void handle(struct control_connection *connection, const char *body, size_t len)
{
	const struct http_head *head = &connection->head;
	autofree char *path = mem_strndup(head->path.data, head->path.len);
	autofree char *query =
		mem_strndup(head->query.data ? head->query.data : "", head->query.len);
	struct control_call call = { .d = connection->daemon,
		.connection = connection,
		.uid = connection->uid,
		.method = head->method,
		.path = path,
		.query = query };
	json_error_t fault;

	snprintf(call.by, sizeof(call.by), "uid %u", connection->uid);
	unescape(path);
	connection->closing = !http_head_keeps_alive(head);
	call.body = len ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &fault) : json_object();
	if (!json_is_object(call.body))
		control_refuse(&call, 400, "the body is no JSON object%s%s", call.body ? "" : ": ",
			call.body ? "" : fault.text);
	else if (connection->daemon->shutting_down && head->method != HTTP_METHOD_GET)
		control_refuse(&call, 503, "tenement is stopping");
	else if (connection->daemon->paused && writes_files(&call))
		control_refuse(&call, 422,
			"tenement is paused, and does not act on files: `ten unpause` first");
	else
		dispatch(&call);
	json_decref(call.body);
}

static void refuse_raw(struct control_connection *connection, int status, const char *why)
{
	connection->closing = true;
	write_answer(connection, status, json_pack("{s:s}", "error", why));
}

/* One request of what was read, if it is whole. False: read on. */
static bool take_request(struct control_connection *connection)
{
	struct http_head *head = &connection->head;
	autofree char *body = NULL;
	size_t rest;
	int bytes;

	if (!connection->in.len || connection->closing || connection->look || connection->streaming)
		return false;
	/* Who asks on without reading answers is asked to read first. */
	if (connection->out.len - connection->sent > OUTPUT_MAX)
		return false;
	http_head_init(head, HTTP_REQUEST, HEAD_MAX, 100);
	bytes = http_head_parse(head, connection->in.data, connection->in.len);
	if (bytes == 0)
		return false;
	if (bytes < 0) {
		refuse_raw(connection, head->refused_status, head->refused_reason);
		return false;
	}
	if (connection->refused) {
		refuse_raw(connection, 403,
			"your uid has no right here: use root, the daemon's user, or a member of "
			"admin_group");
		return false;
	}
	if (head->body == HTTP_BODY_CHUNKED || head->content_length > BODY_MAX) {
		refuse_raw(connection, 413, "a body has a Content-Length of at most 8 MiB here");
		return false;
	}
	if (head->expects_continue && connection->in.len == (size_t)bytes && head->content_length) {
		text_puts(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n");
		flush(connection);
	}
	if (connection->in.len - (size_t)bytes < head->content_length)
		return false;
	body = mem_strndup("", 0);
	body = mem_resize(body, head->content_length + 1, 1);
	memcpy(body, connection->in.data + bytes, head->content_length);
	handle(connection, body, head->content_length);
	rest = (size_t)bytes + head->content_length;
	memmove(connection->in.data, connection->in.data + rest, connection->in.len - rest);
	connection->in.len -= rest;
	return true;
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct control_connection *connection = io->data;
	char buffer[65536];
	ssize_t n;

	(void)loop;
	if (events & EV_WRITE)
		flush(connection);
	if (!connection->dead && (events & EV_READ)) {
		n = recv(connection->fd, buffer, sizeof(buffer), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			connection->dead = true;
		if (n > 0 && connection->in.len + (size_t)n > HEAD_MAX + BODY_MAX)
			connection->dead = true;
		else if (n > 0 && !connection->closing)
			text_add(&connection->in, buffer, (size_t)n);
	}
	while (!connection->dead && take_request(connection))
		;
	if (connection->dead)
		connection_free(connection);
}

/* ---- connections ---- */

static bool in_group(uid_t uid, gid_t primary, gid_t group)
{
	struct passwd *entry = getpwuid(uid);
	gid_t groups[256];
	int count = 256;

	if (primary == group)
		return true;
	if (!entry || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static void admit(struct daemon *d, int fd)
{
	struct control *control = d->control;
	struct control_connection *connection;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	bool may;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		close(fd);
		return;
	}
	may = peer.uid == 0 || peer.uid == d->uid ||
	      (control->any_group && in_group(peer.uid, peer.gid, control->group));
	connection = mem_alloc(sizeof(*connection));
	connection->daemon = d;
	connection->fd = fd;
	connection->uid = peer.uid;
	connection->io.data = connection;
	connection->next = control->connections;
	control->connections = connection;
	control->count++;
	ev_io_init(&connection->io, on_io, fd, EV_READ);
	ev_timer_init(&connection->timer, on_timer, IDLE_SECONDS, 0.);
	connection->timer.data = connection;
	connection->io.data = connection;
	ev_timer_start(d->loop, &connection->timer);
	ev_io_start(d->loop, &connection->io);
	/* Told when it has asked: an answer before that may be lost with the connection. */
	connection->refused = !may;
	if (!may)
		log_warn("uid %u was refused at the control socket", peer.uid);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	int fd;

	(void)events;
	while ((fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (d->control->count >= CONNECTIONS_MAX)
			close(fd);
		else
			admit(d, fd);
	}
	/* Who waits in the queue would turn the loop on and on. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		ev_io_stop(loop, io);
		ev_timer_set(&d->control->again, AGAIN_SECONDS, 0.);
		ev_timer_start(loop, &d->control->again);
	}
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)timer;
	(void)events;
	ev_io_start(loop, &d->control->io);
}

int control_start(struct daemon *d, struct ten_error *err)
{
	struct control *control = mem_alloc(sizeof(*control));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct group *group = NULL;

	d->control = control;
	control->path = mem_printf("%s/control.sock", d->runtime_dir);
	if (strlen(control->path) >= sizeof(address.sun_path))
		return ten_error_set(err, ENAMETOOLONG, "%s", control->path);
	if (d->boot.admin_group && *d->boot.admin_group) {
		group = getgrnam(d->boot.admin_group);
		if (!group)
			return ten_error_set(err, 0, "admin_group = \"%s\": there is no such group",
				d->boot.admin_group);
		control->any_group = true;
		control->group = group->gr_gid;
	}
	memcpy(address.sun_path, control->path, strlen(control->path) + 1);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(control->path);
	if (control->fd < 0 ||
		bind(control->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		chmod(control->path, 0660) < 0 ||
		(group && chown(control->path, (uid_t)-1, group->gr_gid) < 0) ||
		listen(control->fd, CONNECTIONS_MAX) < 0)
		return ten_error_set(err, errno, "%s", control->path);
	ev_io_init(&control->io, on_connection, control->fd, EV_READ);
	ev_timer_init(&control->again, on_again, 0., 0.);
	ev_io_start(d->loop, &control->io);
	return 0;
}

void control_stop(struct daemon *d)
{
	while (d->control->connections)
		connection_free(d->control->connections);
	ev_io_stop(d->loop, &d->control->io);
	ev_timer_stop(d->loop, &d->control->again);
	close(d->control->fd);
	if (d->shutting_down)
		unlink(d->control->path);
	free(d->control->path);
	free(d->control);
	d->control = NULL;
}

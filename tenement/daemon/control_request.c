/* A request to the management API: who asks, and whether a browser was tricked into asking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/audit.h"
#include "daemon/control_connection.h"
#include "daemon/control_crowd.h"
#include "daemon/endpoints.h"
#include "daemon/listening.h"
#include "daemon/tokens.h"
#include "mem.h"

#define STRANGER_BODY_MAX 4096
#define TENANT_BODY_MAX   65536 /* of a token that is of a tenant: it has no files to bring */

void control_audit(const struct control_connection *connection, int status)
{
	const char *method = connection->method, *path = connection->path;

	audit_write(connection->daemon, &connection->who, connection->address, method ? method : "",
		path ? path : "", status);
}

void control_health(struct control_call *call)
{
	control_answer(call, 200, json_pack("{s:s}", "status", "ok"));
}

static bool changes_something(enum http_method method)
{
	return method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD &&
	       method != HTTP_METHOD_OPTIONS;
}

/* ---- who asks ---- */

/* False: it was refused. */
static bool know_local(struct control_connection *connection)
{
	struct principal *who = &connection->who;

	*who = (struct principal){ .local = true, .uid = connection->uid, .scope = SCOPE_ALL };
	snprintf(who->name, sizeof(who->name), "uid %u", connection->uid);
	snprintf(connection->address, sizeof(connection->address), "local");
	if (connection->refused)
		control_refuse_raw(connection, 403,
			"your uid has no right here: use root, the daemon's user, or a member of "
			"admin_group");
	return !connection->refused;
}

/* By way of loopback a tenant is told from all else at that address, so that its guesses are not
 * taken for theirs; so is who does not wait for the answer. */
static void tell_tenants_apart(struct control_connection *connection)
{
	const struct http_field *ends = http_head_field(&connection->head, "x-forwarded-ends");
	const struct daemon *d = connection->daemon;
	char text[128], address[48], to[48];
	unsigned port, to_port;
	uint32_t uid;
	int held;

	if (!d->root || !ends || ends->value_len >= sizeof(text))
		return;
	snprintf(text, sizeof(text), "%.*s", (int)ends->value_len, ends->value);
	if (sscanf(text, "%47s %u %47s %u", address, &port, to, &to_port) != 4 ||
		strcmp(address, connection->address) != 0 ||
		(strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0))
		return;
	held = listening_peer(address, (uint16_t)port, to, (uint16_t)to_port, &uid);
	if (held == 0)
		snprintf(connection->address, sizeof(connection->address), "%s, gone", address);
	else if (held > 0 && uid >= d->uid_first && uid <= d->uid_last)
		snprintf(connection->address, sizeof(connection->address), "%s, uid %u", address,
			uid);
}

static void know_stranger(struct control_connection *connection)
{
	const struct http_field *real = http_head_field(&connection->head, "x-real-ip");

	connection->who = (struct principal){ .uid = (uid_t)-1 };
	snprintf(connection->who.name, sizeof(connection->who.name), "nobody");
	if (connection->by_proxy && real && real->value_len < sizeof(connection->address))
		snprintf(connection->address, sizeof(connection->address), "%.*s",
			(int)real->value_len, real->value);
	else
		snprintf(connection->address, sizeof(connection->address), "uid %u",
			connection->uid);
	if (connection->by_proxy)
		tell_tenants_apart(connection);
}

/* The token of "Bearer TOKEN", which may be wrong; NULL: it is no such thing. */
static const char *bearer_of(const struct http_field *field, size_t *len)
{
	static const char scheme[] = "bearer ";
	size_t at = sizeof(scheme) - 1;

	if (field->value_len < at || strncasecmp(field->value, scheme, at) != 0)
		return NULL;
	while (at < field->value_len && field->value[at] == ' ')
		at++;
	*len = field->value_len - at;
	return field->value + at;
}

static bool refuse_token(struct control_connection *connection, const char *why)
{
	text_puts(&connection->headers, "WWW-Authenticate: Bearer realm=\"tenement\"\r\n");
	control_refuse_raw(connection, 401, why);
	return false;
}

/* A stranger with an Authorization: whom its token makes of them. False: it was refused. */
static bool know_by_token(struct control_connection *connection, const struct http_field *field)
{
	struct daemon *d = connection->daemon;
	unsigned wait_secs;
	size_t len;
	const char *bearer = bearer_of(field, &len);

	if (!bearer)
		return refuse_token(connection, "Authorization is \"Bearer TOKEN\" here");
	if (!tokens_may_try(d, connection->address, &wait_secs)) {
		text_printf(&connection->headers, "Retry-After: %u\r\n", wait_secs);
		control_refuse_raw(connection, 429,
			"too many wrong tokens came from this address: wait a minute");
		return false;
	}
	switch (tokens_check(d, bearer, len, &connection->who)) {
	case TOKENS_GOOD:
		return true;
	case TOKENS_EXPIRED:
		return refuse_token(connection, "this token has expired");
	}
	tokens_failed(d, connection->address);
	return refuse_token(connection, "this token is not known: it is wrong, or was revoked");
}

/* Who asks, by what the head shows. False: it was refused. */
static bool know(struct control_connection *connection)
{
	const struct http_field *field = http_head_field(&connection->head, "authorization");

	*connection->session = '\0';
	if (connection->door == CONTROL_DOOR_LOCAL)
		return know_local(connection);
	know_stranger(connection);
	if (field)
		return know_by_token(connection, field);
	control_session_know(connection);
	return true;
}

/* ---- what a browser says of where a request comes from ---- */

/* "http://example.com:8080" of what was asked: the proxy has checked Host, and says the scheme. */
static bool is_own_origin(const struct control_call *call, const char *origin)
{
	const struct http_text *authority = &call->head->authority;
	char proto[8] = "http";
	autofree char *own = NULL;

	control_header(call, "x-forwarded-proto", proto, sizeof(proto));
	own = mem_printf("%s://%.*s", proto, (int)authority->len, authority->data);
	return strcasecmp(origin, own) == 0;
}

/* Tenants' pages are same-site with ours, so that no cookie's SameSite keeps them out: what is
 * asked has to come from our own origin, or from no page at all. Who changes something by a cookie
 * is a browser, and all of them say at least one of the two. */
static bool is_tricked(struct control_call *call)
{
	char origin[512] = "", site[32] = "";
	bool has_origin = http_head_field(call->head, "origin") != NULL;
	bool has_site = http_head_field(call->head, "sec-fetch-site") != NULL;

	control_header(call, "origin", origin, sizeof(origin));
	control_header(call, "sec-fetch-site", site, sizeof(site));
	if (has_site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return true;
	if (*call->connection->session && changes_something(call->method) && !has_origin &&
		!has_site)
		return true;
	return has_origin && !is_own_origin(call, origin);
}

/* The dashboard's files may be gone to from anywhere: they do nothing, and show nothing yet. */
static bool is_page(const struct control_call *call)
{
	static const char folder[] = "/dashboard";

	return call->method == HTTP_METHOD_GET &&
	       (strcmp(call->path, "/") == 0 ||
		       strncmp(call->path, folder, sizeof(folder) - 1) == 0);
}

/* ---- one request ---- */

static void handle(struct control_connection *connection, const char *body, size_t len)
{
	const struct http_head *head = &connection->head;
	autofree char *path = mem_strndup(head->path.data, head->path.len);
	autofree char *query =
		mem_strndup(head->query.data ? head->query.data : "", head->query.len);
	struct control_call call = { .d = connection->daemon,
		.connection = connection,
		.head = head,
		.method = head->method,
		.path = path,
		.query = query };

	call.who = connection->who;
	call.by = call.who.name;
	connection->known = false;
	if (connection->door != CONTROL_DOOR_LOCAL && !is_page(&call) && is_tricked(&call))
		control_refuse(&call, 403, "this was asked by a page of another origin");
	else
		endpoints_dispatch(&call, body, len);
}

/* Whether it says twice what counts once: nobody is to pick the one that suits him. */
static bool is_doubled(const struct http_head *head)
{
	static const char *const once[] = { "authorization", "cookie", "origin", "sec-fetch-site" };

	for (size_t i = 0; i < sizeof(once) / sizeof(*once); i++) {
		const struct http_field *first = http_head_field(head, once[i]);
		const struct http_field *end = head->fields + head->field_count;

		for (const struct http_field *other = first; other && ++other < end;)
			if (http_text_is(other->name, other->name_len, once[i]))
				return true;
	}
	return false;
}

/* What is asked, as far as it could be read: nothing is left of what was asked before, which may
 * have been another's, for the proxy asks for many by one connection. */
static void note_asked(struct control_connection *connection, int bytes)
{
	const struct http_head *head = &connection->head;
	bool there = bytes > 0;

	free(connection->method);
	free(connection->path);
	connection->method =
		there ? mem_strndup(head->method_text.data, head->method_text.len) : NULL;
	connection->path = there ? mem_strndup(head->path.data, head->path.len) : NULL;
	connection->right = RIGHT_NONE;
	text_free(&connection->headers);
	control_time_anew(connection);
}

/* Whether the head says what cannot be; that is answered. */
static bool refuse_head(struct control_connection *connection, int bytes)
{
	const struct http_head *head = &connection->head;

	if (bytes < 0)
		control_refuse_raw(connection, head->refused_status, head->refused_reason);
	else if (is_doubled(head))
		control_refuse_raw(connection, 400, "a field is there twice that counts once");
	else if (head->body == HTTP_BODY_CHUNKED)
		control_refuse_raw(connection, 411, "a body has a Content-Length here");
	else if (head->content_length > CONTROL_BODY_MAX)
		control_refuse_raw(connection, 413, "a body has at most 8 MiB here");
	else
		return false;
	return true;
}

/* A head is there: note who asks. False: it was refused. */
static bool take_head(struct control_connection *connection)
{
	const struct http_head *head = &connection->head;

	if (connection->known)
		return true;
	connection->closing = !http_head_keeps_alive(head);
	connection->to_audit = changes_something(head->method);
	if (!know(connection))
		return false;
	if (control_crowd_is_full(connection)) {
		text_puts(&connection->headers, "Retry-After: 1\r\n");
		control_refuse_raw(connection, 429, "too many requests of yours are under way");
		return false;
	}
	connection->known = true;
	return true;
}

bool control_take_request(struct control_connection *connection)
{
	struct http_head *head = &connection->head;
	autofree char *body = NULL;
	size_t rest;
	int bytes;

	if (!connection->in.len || connection->closing || connection->look || connection->streaming)
		return false;
	/* Who asks on without reading answers is asked to read first. */
	if (connection->out.len - connection->sent > CONTROL_OUTPUT_MAX)
		return false;
	http_head_init(head, HTTP_REQUEST, CONTROL_HEAD_MAX, 100);
	bytes = http_head_parse(head, connection->in.data, connection->in.len);
	if (bytes == 0)
		return false;
	if (!connection->known)
		note_asked(connection, bytes);
	if (refuse_head(connection, bytes) || !take_head(connection))
		return false;
	/* Nobody is let fill our memory before he has said who he is. */
	if (connection->who.scope == SCOPE_NONE && head->content_length > STRANGER_BODY_MAX) {
		control_refuse_raw(connection, 401, "a body of that size needs a token");
		return false;
	}
	if (connection->who.scope != SCOPE_ALL && head->content_length > TENANT_BODY_MAX) {
		control_refuse_raw(connection, 413, "a tenant's token brings at most 64 KiB");
		return false;
	}
	if (head->expects_continue && connection->in.len == (size_t)bytes && head->content_length) {
		text_puts(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n");
		control_flush(connection);
	}
	if (connection->in.len - (size_t)bytes < head->content_length)
		return false;
	body = mem_strndup("", 0);
	body = mem_resize(body, head->content_length + 1, 1);
	memcpy(body, connection->in.data + bytes, head->content_length);
	body[head->content_length] = '\0';
	handle(connection, body, head->content_length);
	rest = (size_t)bytes + head->content_length;
	memmove(connection->in.data, connection->in.data + rest, connection->in.len - rest);
	connection->in.len -= rest;
	return true;
}

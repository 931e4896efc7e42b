#include "rewrite.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "hex.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/timing.h"
#include "proxy/worker.h"
#include "sticky.h"

/* What we add, less what it copies of the head and of the host name. */
#define REQUEST_ADDED_MAX  640
#define RESPONSE_ADDED_MAX 288
#define HOST_COPIES        4

/* ---- writing ---- */

static void put(struct http_window *out, const char *data, size_t len)
{
	if (len > out->room - out->end) {
		out->end = out->room + 1; /* noticed by finish() */
		return;
	}
	memcpy(out->data + out->end, data, len);
	out->end += (uint32_t)len;
}

static void put_string(struct http_window *out, const char *string)
{
	if (out->end <= out->room)
		put(out, string, strlen(string));
}

static void put_text(struct http_window *out, const struct http_text *text)
{
	if (out->end <= out->room)
		put(out, text->data, text->len);
}

static bool finish(struct http_window *out)
{
	put_string(out, "\r\n");
	if (out->end > out->room) {
		out->end = out->ready;
		return false;
	}
	out->ready = out->end;
	return true;
}

static bool begin(struct exchange *exchange, uint32_t room)
{
	struct worker *worker = exchange->worker;

	buffer_give(&worker->buffers, &exchange->top);
	return buffer_take(&worker->buffers, &exchange->top, room + BUFFER_FRAMING);
}

/* ---- which fields stay ---- */

static bool named_by_connection(const struct http_head *head, const struct http_field *field)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *connection = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		if (connection->id != HTTP_FIELD_CONNECTION)
			continue;
		while (http_list_next(connection->value, connection->value_len, &at, &item))
			if (item.len == field->name_len &&
				!strncasecmp(item.data, field->name, item.len))
				return true;
	}
	return false;
}

/* Connection names fields beyond the usual three. */
static bool connection_names_more(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *connection = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		if (connection->id != HTTP_FIELD_CONNECTION)
			continue;
		while (http_list_next(connection->value, connection->value_len, &at, &item))
			if (!http_text_is(item.data, item.len, "close") &&
				!http_text_is(item.data, item.len, "keep-alive") &&
				!http_text_is(item.data, item.len, "upgrade"))
				return true;
	}
	return false;
}

/* Of one connection, not of the message (RFC 9110, 7.6.1). What becomes of Upgrade depends. */
static bool ends_here(const struct http_field *field)
{
	switch (field->id) {
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_PROXY_AUTHENTICATE:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_TRAILER:
	case HTTP_FIELD_TRANSFER_ENCODING:
		return true;
	default:
		return false;
	}
}

static bool request_keeps(const struct exchange *exchange, const struct http_field *field)
{
	if (ends_here(field) || (exchange->trace.own && !trace_keeps(&exchange->trace, field)))
		return false;
	switch (field->id) {
	case HTTP_FIELD_ALIAS:
	case HTTP_FIELD_X_FORWARDED_FOR:
	case HTTP_FIELD_X_FORWARDED_HOST:
	case HTTP_FIELD_X_FORWARDED_PROTO:
	case HTTP_FIELD_X_REAL_IP:
	case HTTP_FIELD_FORWARDED:
		return false;
	case HTTP_FIELD_X_FORWARDED_OTHER:
		return exchange->client->trusted && *exchange->host != '#';
	case HTTP_FIELD_UPGRADE:
		return exchange->upgrading;
	case HTTP_FIELD_EXPECT:
		return exchange->minor > 0;
	default:
		return true;
	}
}

static bool response_keeps(const struct http_head *head, const struct http_field *field)
{
	if (ends_here(field))
		return false;
	switch (field->id) {
	case HTTP_FIELD_UPGRADE:
		return head->status == 101;
	case HTTP_FIELD_CONTENT_LENGTH:
		return head->status >= 200 && head->status != 204;
	default:
		return true;
	}
}

/* What Connection names is dropped, but for what the framing or the routing rests on. */
static bool is_essential(const struct http_field *field)
{
	return field->id == HTTP_FIELD_HOST || field->id == HTTP_FIELD_CONTENT_LENGTH ||
	       field->id == HTTP_FIELD_UPGRADE;
}

/* Copy the lines of the fields that stay, neighbours together. */
static void put_fields(
	struct http_window *out, const struct exchange *exchange, const struct http_head *head)
{
	bool more = connection_names_more(head);
	const char *run = NULL;
	const char *run_end = NULL;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		bool keeps = head->kind == HTTP_REQUEST ? request_keeps(exchange, field)
							: response_keeps(head, field);

		if (keeps && more && !is_essential(field) && named_by_connection(head, field))
			keeps = false;
		if (keeps) {
			if (!run)
				run = field->name;
			run_end = field->value + field->value_len;
			continue;
		}
		if (run) {
			put_text(out, &(struct http_text){ run, (size_t)(run_end - run) });
			put_string(out, "\r\n");
		}
		run = NULL;
	}
	if (run) {
		put_text(out, &(struct http_text){ run, (size_t)(run_end - run) });
		put_string(out, "\r\n");
	}
}

/* ---- where a request comes from ---- */

static bool has(const struct http_head *head, enum http_field_id id)
{
	for (uint32_t i = 0; i < head->field_count; i++)
		if (head->fields[i].id == id)
			return true;
	return false;
}

/* All values of a list field, joined. */
static bool put_list(struct http_window *out, const struct http_head *head, enum http_field_id id)
{
	bool any = false;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		if (field->id != id || !field->value_len)
			continue;
		if (any)
			put_string(out, ", ");
		put_text(out, &(struct http_text){ field->value, field->value_len });
		any = true;
	}
	return any;
}

/* The value of the last field with that name; the last element of it where it is a list. */
static struct http_text last_of(const struct http_head *head, enum http_field_id id)
{
	struct http_text last = { 0 };

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		while (field->id == id &&
			http_list_next(field->value, field->value_len, &at, &item))
			last = item;
	}
	return last;
}

static void put_line(struct http_window *out, const char *name, const struct http_text *value)
{
	put_string(out, name);
	put_text(out, value);
	put_string(out, "\r\n");
}

static void put_forwarded(struct http_window *out, const struct http_head *head,
	const struct client *client, const struct http_text *host)
{
	bool v6 = strchr(client->peer, ':') != NULL;

	put_string(out, "Forwarded: ");
	if (client->trusted && put_list(out, head, HTTP_FIELD_FORWARDED))
		put_string(out, ", ");
	put_string(out, v6 ? "for=\"[" : "for=");
	put_string(out, client->peer);
	put_string(out, v6 ? "]\"" : "");
	if (host->len) {
		put_string(out, ";host=\"");
		put_text(out, host);
		put_string(out, "\"");
	}
	put_string(out, ";proto=http\r\n");
}

struct http_text rewrite_real_address(const struct client *client, const struct http_head *head)
{
	struct http_text real = { 0 };

	if (client->trusted) {
		real = last_of(head, HTTP_FIELD_X_REAL_IP);
		if (!real.len)
			real = last_of(head, HTTP_FIELD_X_FORWARDED_FOR);
	}
	return real.len ? real : (struct http_text){ client->peer, strlen(client->peer) };
}

static struct http_text scheme(const struct client *client, const struct http_head *head)
{
	struct http_text said = { 0 };

	if (client->trusted)
		said = last_of(head, HTTP_FIELD_X_FORWARDED_PROTO);
	return said.len ? said : (struct http_text){ "http", 4 };
}

bool rewrite_is_https(const struct client *client, const struct http_head *head)
{
	struct http_text said = scheme(client, head);

	return http_text_is(said.data, said.len, "https");
}

/* "ADDRESS PORT" of an end of a connection; IPv4 as such also at a socket of both kinds. */
static void put_end(struct http_window *out, const struct sockaddr_storage *end)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)end;
	const struct sockaddr_in *four = (const struct sockaddr_in *)end;
	char text[INET6_ADDRSTRLEN + 16], address[INET6_ADDRSTRLEN] = "";
	uint16_t port = end->ss_family == AF_INET6 ? six->sin6_port : four->sin_port;

	if (end->ss_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, address, sizeof(address));
	else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, address, sizeof(address));
	else
		inet_ntop(AF_INET6, &six->sin6_addr, address, sizeof(address));
	snprintf(text, sizeof(text), " %s %u", address, ntohs(port));
	put_string(out, text);
}

/* For the API alone: both ends, by which the daemon finds out who on this machine asks. */
static void put_ends(struct http_window *out, const struct client *client)
{
	struct sockaddr_storage peer, own;
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);

	if (!client->has_address ||
		getpeername(client->io.fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
		getsockname(client->io.fd, (struct sockaddr *)&own, &own_len) < 0 ||
		(peer.ss_family != AF_INET && peer.ss_family != AF_INET6) ||
		own.ss_family != peer.ss_family)
		return;
	put_string(out, "X-Forwarded-Ends:");
	put_end(out, &peer);
	put_end(out, &own);
	put_string(out, "\r\n");
}

static void put_origin(struct http_window *out, const struct exchange *exchange,
	const struct http_head *head, const struct http_text *host)
{
	const struct client *client = exchange->client;
	struct http_text real = rewrite_real_address(client, head);
	struct http_text proto = scheme(client, head);
	struct http_text shown = *host;

	if (client->trusted) {
		struct http_text said = last_of(head, HTTP_FIELD_X_FORWARDED_HOST);
		if (said.len)
			shown = said;
	}
	put_string(out, "X-Forwarded-For: ");
	if (client->trusted && put_list(out, head, HTTP_FIELD_X_FORWARDED_FOR))
		put_string(out, ", ");
	put_string(out, client->peer);
	put_string(out, "\r\n");
	put_line(out, "X-Forwarded-Proto: ", &proto);
	put_line(out, "X-Forwarded-Host: ", &shown);
	put_line(out, "X-Real-IP: ", &real);
	if (*exchange->host == '#')
		put_ends(out, client);
	put_forwarded(out, head, client, host);
}

static void put_request_id(struct http_window *out, const struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	uint8_t bytes[16];
	char text[2 * sizeof(bytes) + 1];

	if (!worker_random(worker, bytes, sizeof(bytes)))
		return;
	hex_put(bytes, sizeof(bytes), text);
	put_line(out, "X-Request-Id: ", &(struct http_text){ text, sizeof(text) - 1 });
	if (exchange->note)
		access_note_request_id(exchange->note, text, sizeof(text) - 1);
}

static void put_trace(struct http_window *out, const struct trace_context *context)
{
	char text[TRACE_PARENT_LEN + 1];

	trace_context_format(context, text);
	put_line(out, "traceparent: ", &(struct http_text){ text, TRACE_PARENT_LEN });
}

/* ---- keeping a visitor ---- */

/* A cache that many share would hand the cookie of one to all. */
static bool is_shared(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		if (!http_text_is(field->name, field->name_len, "cache-control"))
			continue;
		while (http_list_next(field->value, field->value_len, &at, &item))
			if (http_text_is(item.data, item.len, "public") ||
				(item.len > 9 && http_text_is(item.data, 9, "s-maxage=")))
				return true;
	}
	return false;
}

static void put_sticky(
	struct http_window *out, const struct exchange *exchange, const struct http_head *head)
{
	char cookie[STICKY_SET_COOKIE_SIZE];
	struct route_host host;
	struct http_text value = { cookie, 0 };

	if (head->status == 304 || is_shared(head))
		return;
	route_table_host(exchange->worker->table, exchange->host, strlen(exchange->host), &host);
	if (host.sticky == STICKY_COOKIE)
		value.len = sticky_set_cookie(
			cookie, sizeof(cookie), host.service, exchange->sticky_tag);
	if (value.len)
		put_line(out, "Set-Cookie: ", &value);
}

/* ---- the two heads ---- */

bool rewrite_request(struct exchange *exchange, const struct http_head *head)
{
	struct http_window *out = &exchange->top;
	struct worker *worker = exchange->worker;
	struct http_text host = head->authority;
	uint32_t room = head->bytes + REQUEST_ADDED_MAX;

	if (!host.len) /* HTTP/1.0 may leave it away; the tenant gets one all the same */
		host = (struct http_text){ worker->settings.domain,
			strlen(worker->settings.domain) };
	room += HOST_COPIES * (uint32_t)host.len;
	/* A list that is believed and appended to is copied, and so may be its last element. */
	if (exchange->client->trusted)
		room += 2 * head->bytes;
	if (!begin(exchange, room))
		return false;
	put_text(out, &head->method_text);
	put_string(out, " ");
	put_text(out, &head->path);
	if (head->query.data) {
		put_string(out, "?");
		put_text(out, &head->query);
	}
	put_string(out, " HTTP/1.1\r\n");
	if (!has(head, HTTP_FIELD_HOST))
		put_line(out, "Host: ", &host);
	put_fields(out, exchange, head);
	put_origin(out, exchange, head, &host);
	if (!has(head, HTTP_FIELD_X_REQUEST_ID))
		put_request_id(out, exchange);
	if (exchange->trace.own)
		put_trace(out, &exchange->trace.context);
	if (exchange->upgrading)
		put_string(out, "Connection: upgrade\r\n");
	if (head->chunked)
		put_string(out, "Transfer-Encoding: chunked\r\n");
	return finish(out);
}

bool rewrite_response(
	struct exchange *exchange, const struct http_head *head, enum rewrite_connection connection)
{
	struct http_window *out = &exchange->top;
	char timing_text[TIMING_TEXT_MAX];
	char status[4] = { (char)('0' + head->status / 100), (char)('0' + head->status / 10 % 10),
		(char)('0' + head->status % 10), ' ' };
	struct http_text timing = { timing_text, 0 };

	if (exchange->waited_from_us && connection != REWRITE_INTERIM)
		timing.len = timing_answered(exchange, timing_text);
	if (!begin(exchange, head->bytes + RESPONSE_ADDED_MAX + (uint32_t)timing.len))
		return false;
	put_string(out, "HTTP/1.1 ");
	put(out, status, sizeof(status));
	put_text(out, &head->reason);
	put_string(out, "\r\n");
	put_fields(out, exchange, head);
	if (timing.len)
		put_line(out, "Server-Timing: ", &timing);
	if (exchange->sticky_tag && connection != REWRITE_INTERIM)
		put_sticky(out, exchange, head);
	if (connection == REWRITE_CLOSE)
		put_string(out, "Connection: close\r\n");
	else if (connection == REWRITE_UPGRADE)
		put_string(out, "Connection: upgrade\r\n");
	else if (connection == REWRITE_KEEP && exchange->minor == 0)
		put_string(out, "Connection: keep-alive\r\n");
	if (connection != REWRITE_UPGRADE && connection != REWRITE_INTERIM &&
		exchange->response_body.to == HTTP_CODING_CHUNKED)
		put_string(out, "Transfer-Encoding: chunked\r\n");
	return finish(out);
}

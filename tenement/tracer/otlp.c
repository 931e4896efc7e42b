#include "tracer/otlp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "hex.h"
#include "mem.h"
#include "trace_context.h"

#define KIND_INTERNAL 1
#define KIND_SERVER   2
#define STATUS_ERROR  2

static void put(json_t *attributes, const char *key, json_t *value)
{
	json_array_append_new(attributes, json_pack("{s:s, s:o}", "key", key, "value", value));
}

/* What is not UTF-8 is told as far as it is ASCII. */
static void put_string(json_t *attributes, const char *key, const char *text, size_t len)
{
	json_t *string = len ? json_stringn(text, len) : NULL;
	autofree char *plain = NULL;

	if (!len)
		return;
	if (!string) {
		plain = mem_strndup(text, len);
		for (char *at = plain; *at; at++)
			if ((unsigned char)*at >= 0x7f || (unsigned char)*at < 0x20)
				*at = '?';
		string = json_string(plain);
	}
	put(attributes, key, json_pack("{s:o}", "stringValue", string));
}

static void put_text(json_t *attributes, const char *key, const struct http_text *text)
{
	put_string(attributes, key, text->data, text->len);
}

static void put_number(json_t *attributes, const char *key, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	put(attributes, key, json_pack("{s:s}", "intValue", digits));
}

/* Digits of a port; 0: they are none. */
static uint64_t port_of(const char *at, const char *end)
{
	uint64_t port = 0;

	for (; at < end; at++) {
		if (*at < '0' || *at > '9' || port > 65535)
			return 0;
		port = port * 10 + (uint64_t)(*at - '0');
	}
	return port <= 65535 ? port : 0;
}

/* "example.com:8080", "[::1]:8080" */
static void put_server(json_t *attributes, const struct http_text *host)
{
	const char *end = host->data + host->len;
	const char *bracket = memchr(host->data, ']', host->len);
	const char *colon = memrchr(host->data, ':', host->len);
	const char *name_end = end;

	if (colon && (!bracket || colon > bracket)) {
		uint64_t port = port_of(colon + 1, end);

		name_end = colon;
		if (port)
			put_number(attributes, "server.port", port);
	}
	if (host->data[0] == '[' && bracket)
		put_string(attributes, "server.address", host->data + 1,
			(size_t)(bracket - host->data) - 1);
	else
		put_string(
			attributes, "server.address", host->data, (size_t)(name_end - host->data));
}

static void put_tenant(json_t *attributes, const struct http_text *tenant)
{
	const char *colon = tenant->len ? memchr(tenant->data, ':', tenant->len) : NULL;
	size_t len = colon ? (size_t)(colon - tenant->data) : 0;

	if (!colon)
		return;
	put_string(attributes, "tenement.service", tenant->data, len);
	put_string(attributes, "tenement.id", colon + 1, tenant->len - len - 1);
}

static json_t *attributes_of(const struct span *span)
{
	json_t *attributes = json_array();
	char status[8];

	put_text(attributes, "http.request.method", &span->method);
	put_text(attributes, "url.path", &span->path);
	put_string(attributes, "url.scheme", "http", 4);
	put_string(attributes, "network.protocol.version", span->minor ? "1.1" : "1.0", 3);
	if (span->host.len)
		put_server(attributes, &span->host);
	put_text(attributes, "client.address", &span->client);
	if (span->status)
		put_number(attributes, "http.response.status_code", span->status);
	if (span->status >= 500) {
		snprintf(status, sizeof(status), "%u", (unsigned)span->status);
		put_string(attributes, "error.type", status, strlen(status));
	}
	put_tenant(attributes, &span->tenant);
	put_text(attributes, "tenement.refused", &span->refused);
	if (span->answer_us)
		put_number(attributes, "tenement.answer_us", span->answer_us);
	return attributes;
}

static void put_times(json_t *json, uint64_t from_ns, uint64_t until_ns)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, from_ns);
	json_object_set_new(json, "startTimeUnixNano", json_string(text));
	snprintf(text, sizeof(text), "%" PRIu64, until_ns);
	json_object_set_new(json, "endTimeUnixNano", json_string(text));
}

static json_t *object(const struct span *span, const uint8_t id[8], const uint8_t *parent)
{
	json_t *json = json_object();
	char text[33];

	hex_put(span->trace, 16, text);
	json_object_set_new(json, "traceId", json_string(text));
	hex_put(id, 8, text);
	json_object_set_new(json, "spanId", json_string(text));
	if (parent) {
		hex_put(parent, 8, text);
		json_object_set_new(json, "parentSpanId", json_string(text));
	}
	return json;
}

static void add(struct text *to, json_t *json)
{
	autofree char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (to->len)
		text_puts(to, ",");
	text_puts(to, text ? text : "{}");
}

/* A child's id is its parent's with another first bit: the one is as random as the other. */
static void add_wait(struct text *to, const struct span *span, const char *name, uint8_t which,
	uint64_t from_us, uint64_t until_us)
{
	uint8_t id[8];
	json_t *json;

	if (until_us <= from_us)
		return;
	memcpy(id, span->id, sizeof(id));
	id[0] ^= which;
	json = object(span, id, span->id);
	json_object_set_new(json, "name", json_string(name));
	json_object_set_new(json, "kind", json_integer(KIND_INTERNAL));
	put_times(json, span->began_ns + from_us * 1000, span->began_ns + until_us * 1000);
	add(to, json);
}

char *otlp_spans(const struct span *span)
{
	static const uint8_t none[8];
	struct text text = { 0 };
	autofree char *method = span->method.len ? mem_strndup(span->method.data, span->method.len)
						 : mem_strdup("HTTP");
	bool has_parent = memcmp(span->parent, none, sizeof(none)) != 0;
	json_t *json = object(span, span->id, has_parent ? span->parent : NULL);

	json_object_set_new(json, "name", json_string(method));
	json_object_set_new(json, "kind", json_integer(KIND_SERVER));
	put_times(json, span->began_ns, span->began_ns + span->took_us * 1000);
	json_object_set_new(json, "attributes", attributes_of(span));
	if (span->status >= 500)
		json_object_set_new(json, "status", json_pack("{s:i}", "code", STATUS_ERROR));
	add(&text, json);
	add_wait(&text, span, "wake", 0x80, span->wait_from_us, span->wait_until_us);
	add_wait(&text, span, "queue", 0x40, span->queue_from_us, span->queue_until_us);
	return text_steal(&text);
}

void otlp_begin(struct text *body)
{
	text_puts(body,
		"{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
		"\"value\":{\"stringValue\":\"tenement\"}},{\"key\":\"service.version\",\"value\":{"
		"\"stringValue\":\"" TEN_VERSION "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
		"\"tenement-proxy\",\"version\":\"" TEN_VERSION "\"},\"spans\":[");
}

void otlp_end(struct text *body)
{
	text_puts(body, "]}]}]}");
}

#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "proxy/exchange.h"
#include "proxy/worker.h"

#define HEAD_MAX 512

static const char html[] = "text/html; charset=utf-8";
static const char json[] = "application/json";

static const char suspended_page[] =
	"<!doctype html>\n<html><head><title>Suspended</title></head>\n"
	"<body><h1>Suspended</h1><p>This site is suspended.</p></body></html>\n";

static const struct {
	uint16_t status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 402, "Payment Required" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

static const char *phrase_of(uint16_t status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Error";
}

struct answer {
	uint16_t status;
	const char *type;
	const char *body;
	const char *retry_after;
};

static const char *connection_line(const struct exchange *exchange)
{
	if (!exchange->keep_alive)
		return "Connection: close\r\n";
	return exchange->minor == 0 ? "Connection: keep-alive\r\n" : "";
}

static int answer_write(struct exchange *exchange, const struct answer *answer)
{
	struct http_window *top = &exchange->top;
	struct buffer_pool *pool = &exchange->worker->buffers;
	size_t len = strlen(answer->body);
	int head;

	buffer_give(pool, top);
	if (len > UINT32_MAX / 2 || !buffer_take(pool, top, (uint32_t)len + HEAD_MAX))
		return -1;
	head = snprintf(top->data + top->end, HEAD_MAX - HTTP_WINDOW_BEFORE,
		"HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\n%s%s%s%s\r\n",
		(unsigned)answer->status, phrase_of(answer->status), answer->type, len,
		answer->retry_after ? "Retry-After: " : "",
		answer->retry_after ? answer->retry_after : "", answer->retry_after ? "\r\n" : "",
		connection_line(exchange));
	if (head < 0 || head >= HEAD_MAX - HTTP_WINDOW_BEFORE)
		return -1;
	top->end += (uint32_t)head;
	exchange->status = answer->status;
	if (exchange->note)
		exchange->note->head_sent = (uint64_t)head;
	if (exchange->method != HTTP_METHOD_HEAD) {
		memcpy(top->data + top->end, answer->body, len);
		top->end += (uint32_t)len;
	}
	top->ready = top->end;
	return 0;
}

/* The operator's page, or one of ours. */
static int html_error(struct exchange *exchange, struct answer answer, const char *text)
{
	const struct route_table *table = exchange->worker->table;
	struct route_settings settings;
	struct route_error_page page;
	char body[1024];

	answer.type = html;
	snprintf(body, sizeof(body),
		"<!doctype html>\n<html><head><title>%u %s</title></head>\n"
		"<body><h1>%u %s</h1><p>%s</p></body></html>\n",
		(unsigned)answer.status, phrase_of(answer.status), (unsigned)answer.status,
		phrase_of(answer.status), text);
	answer.body = body;
	if (route_table_settings(table, &settings) &&
		route_settings_error_page(table, &settings, answer.status, &page))
		answer.body = page.html;
	return answer_write(exchange, &answer);
}

int answer_error(
	struct exchange *exchange, uint16_t status, const char *text, const char *retry_after)
{
	struct answer answer = { .status = status, .type = json, .retry_after = retry_after };
	char body[512];

	if (exchange->wants_html)
		return html_error(exchange, answer, text);
	snprintf(body, sizeof(body), "{\"error\":\"%s\",\"status\":%u}\n", text, (unsigned)status);
	answer.body = body;
	return answer_write(exchange, &answer);
}

int answer_suspended(struct exchange *exchange, const struct route_instance *instance)
{
	const char *page = instance->suspended_page;
	struct answer answer = {
		.status = instance->suspended_status == 402 ? 402 : 503,
		.type = html,
		.body = page ? page : suspended_page,
	};

	return answer_write(exchange, &answer);
}

int answer_health(struct exchange *exchange)
{
	bool ready = exchange->worker->settings.ready;
	struct answer answer = {
		.status = ready ? 200 : 503,
		.type = json,
		.body = ready ? "{\"status\":\"ok\"}\n" : "{\"status\":\"starting\"}\n",
	};

	return answer_write(exchange, &answer);
}

int answer_asleep(struct exchange *exchange)
{
	struct answer answer = {
		.status = 200,
		.type = json,
		.body = "{\"status\":\"asleep\"}\n",
	};

	return answer_write(exchange, &answer);
}

#include "tracer/exporter.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "common/clock.h"
#include "common/log.h"
#include "mem.h"
#include "text.h"
#include "tracer/otlp.h"

#define QUEUE_MAX       4096 /* spans */
#define BATCH_MAX       512
#define WAIT_MS         1000 /* for more, before fewer go */
#define CONNECT_SECONDS 3l
#define SECONDS         10l
#define TRIES_MAX       5
#define PAUSE_MS        500u /* after the first try; doubled after each further one */
#define WARN_MS         60000

struct exporter {
	struct board_traces *traces;
	CURLM *multi;
	CURL *request;
	struct curl_slist *headers;
	char *queue[QUEUE_MAX]; /* a ring */
	size_t first, count;
	uint64_t oldest_ms;
	struct text body; /* of the request that is under way, or is to be tried again */
	size_t in_body;   /* spans */
	unsigned tries;
	bool running;
	uint64_t again_ms, warned_ms;
};

static size_t swallow(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static void set_up(struct exporter *exporter, const char *url)
{
	CURL *request = exporter->request;

	curl_easy_setopt(request, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(request, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(request, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1l);
	curl_easy_setopt(request, CURLOPT_PROXY, "");
	curl_easy_setopt(request, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(request, CURLOPT_TIMEOUT, SECONDS);
	curl_easy_setopt(request, CURLOPT_HTTPHEADER, exporter->headers);
	curl_easy_setopt(request, CURLOPT_USERAGENT, "tenement/" TEN_VERSION);
	curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, swallow);
}

struct exporter *exporter_new(
	const char *endpoint, struct board_traces *traces, struct ten_error *err)
{
	struct exporter *exporter = mem_alloc(sizeof(*exporter));
	size_t len = strlen(endpoint);
	autofree char *url = NULL;

	while (len && endpoint[len - 1] == '/')
		len--;
	url = mem_printf("%.*s/v1/traces", (int)len, endpoint);
	exporter->traces = traces;
	exporter->multi = curl_multi_init();
	exporter->request = curl_easy_init();
	exporter->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!exporter->multi || !exporter->request || !exporter->headers) {
		exporter_free(exporter);
		ten_error_set(err, 0, "libcurl cannot be used");
		return NULL;
	}
	exporter->headers = curl_slist_append(exporter->headers, "Expect:");
	set_up(exporter, url);
	return exporter;
}

void exporter_free(struct exporter *exporter)
{
	if (exporter->running)
		curl_multi_remove_handle(exporter->multi, exporter->request);
	curl_easy_cleanup(exporter->request);
	curl_multi_cleanup(exporter->multi);
	curl_slist_free_all(exporter->headers);
	for (; exporter->count; exporter->count--)
		free(exporter->queue[exporter->first++ % QUEUE_MAX]);
	text_free(&exporter->body);
	free(exporter);
}

void exporter_add(struct exporter *exporter, const struct span *span)
{
	if (exporter->count == QUEUE_MAX) {
		atomic_fetch_add(&exporter->traces->dropped, 1);
		return;
	}
	if (!exporter->count)
		exporter->oldest_ms = clock_ms(CLOCK_MONOTONIC);
	exporter->queue[(exporter->first + exporter->count++) % QUEUE_MAX] = otlp_spans(span);
}

static void fill_body(struct exporter *exporter)
{
	struct text *body = &exporter->body;

	text_free(body);
	otlp_begin(body);
	for (exporter->in_body = 0; exporter->count && exporter->in_body < BATCH_MAX;
		exporter->count--) {
		if (exporter->in_body++)
			text_puts(body, ",");
		text_puts(body, exporter->queue[exporter->first]);
		free(exporter->queue[exporter->first]);
		exporter->first = (exporter->first + 1) % QUEUE_MAX;
	}
	otlp_end(body);
	exporter->oldest_ms = clock_ms(CLOCK_MONOTONIC);
	exporter->tries = 0;
}

/* Whether there is something to be sent now. */
static bool is_due(const struct exporter *exporter, uint64_t now_ms)
{
	if (exporter->running)
		return false;
	if (exporter->in_body)
		return now_ms >= exporter->again_ms;
	return exporter->count >= BATCH_MAX ||
	       (exporter->count && now_ms - exporter->oldest_ms >= WAIT_MS);
}

static void start(struct exporter *exporter)
{
	if (!exporter->in_body)
		fill_body(exporter);
	curl_easy_setopt(exporter->request, CURLOPT_POSTFIELDSIZE, (long)exporter->body.len);
	curl_easy_setopt(exporter->request, CURLOPT_POSTFIELDS, exporter->body.data);
	exporter->running = curl_multi_add_handle(exporter->multi, exporter->request) == CURLM_OK;
}

static void warn(struct exporter *exporter, const char *why, long status)
{
	uint64_t now = clock_ms(CLOCK_MONOTONIC);

	if (exporter->warned_ms && now - exporter->warned_ms < WARN_MS)
		return;
	exporter->warned_ms = now;
	if (status)
		log_warn("the collector of traces answered with %ld", status);
	else
		log_warn("the collector of traces cannot be reached: %s", why);
}

static bool may_pass(CURLcode result, long status)
{
	return result != CURLE_OK || status == 408 || status == 429 || status == 502 ||
	       status == 503 || status == 504;
}

static void over(struct exporter *exporter, CURLcode result)
{
	long status = 0;

	curl_easy_getinfo(exporter->request, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(exporter->multi, exporter->request);
	exporter->running = false;
	if (result == CURLE_OK && status >= 200 && status < 300) {
		atomic_fetch_add(&exporter->traces->exported, exporter->in_body);
		exporter->in_body = 0;
		return;
	}
	atomic_fetch_add(&exporter->traces->failures, 1);
	warn(exporter, curl_easy_strerror(result), result == CURLE_OK ? status : 0);
	if (may_pass(result, status) && ++exporter->tries < TRIES_MAX) {
		exporter->again_ms =
			clock_ms(CLOCK_MONOTONIC) + (PAUSE_MS << (exporter->tries - 1));
		return;
	}
	atomic_fetch_add(&exporter->traces->dropped, exporter->in_body);
	exporter->in_body = 0;
}

static void perform(struct exporter *exporter)
{
	int running, left;
	CURLMsg *message;

	curl_multi_perform(exporter->multi, &running);
	while ((message = curl_multi_info_read(exporter->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			over(exporter, message->data.result);
}

static int sleep_ms(const struct exporter *exporter, uint64_t now_ms)
{
	uint64_t until = now_ms + WAIT_MS;

	if (!exporter->running && exporter->in_body)
		until = exporter->again_ms;
	else if (!exporter->running && exporter->count)
		until = exporter->oldest_ms + WAIT_MS;
	if (until <= now_ms)
		return 0;
	return until - now_ms < WAIT_MS ? (int)(until - now_ms) : WAIT_MS;
}

void exporter_turn(struct exporter *exporter, int fd)
{
	struct curl_waitfd more = { .fd = fd, .events = CURL_WAIT_POLLIN };
	uint64_t now = clock_ms(CLOCK_MONOTONIC);

	if (is_due(exporter, now))
		start(exporter);
	curl_multi_poll(exporter->multi, &more, 1, sleep_ms(exporter, now), NULL);
	perform(exporter);
}

void exporter_finish(struct exporter *exporter, double seconds)
{
	uint64_t until = clock_ms(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1000);

	while ((exporter->running || exporter->in_body || exporter->count) &&
		clock_ms(CLOCK_MONOTONIC) < until) {
		if (!exporter->running)
			start(exporter);
		curl_multi_poll(exporter->multi, NULL, 0, 50, NULL);
		perform(exporter);
	}
	atomic_fetch_add(&exporter->traces->dropped, exporter->in_body + exporter->count);
}

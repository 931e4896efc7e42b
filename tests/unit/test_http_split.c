/*
 * The same bytes split at random, and those bytes damaged, must come out the same as at once:
 * heads, chunks, bodies. Bounded, and the same numbers every time; TEN_SEED=N begins elsewhere, and
 * a failure says with which seed it comes back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_often.h"
#include "http_body.h"
#include "http_chunk.h"
#include "http_head.h"

#define ROUNDS    4000
#define DATA_MAX  2048
#define SEED      20240229
#define WINDOW_OF (2 * DATA_MAX + 64)

#define HOST "Host: a.example\r\n"

static const char *const requests[] = {
	"GET / HTTP/1.1\r\n" HOST "\r\n",
	"\r\nPOST /a/b?c=d HTTP/1.1\r\n" HOST "Content-Length: 5\r\nX-A: b\t c \r\n\r\nabcde",
	"PUT http://a.example:80/x HTTP/1.1\r\nHost: a.example:80\r\nTransfer-Encoding: chunked\r\n"
	"Connection: x, close\r\nx: y\r\n\r\n0\r\n\r\n",
	"OPTIONS * HTTP/1.0\r\nA: b\r\nC:\r\nD: e, f,,g\r\n\r\n",
	"GET /ws HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
	"Expect: 100-continue\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
	"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	"HTTP/1.1 204\r\nA: b\r\nC: d\r\n\r\n",
};

static const char *const bodies[] = {
	"0\r\n\r\nGET / HTTP/1.1",
	"3\r\nabc\r\n2;a=\"b\"\r\nde\r\n0\r\nA: b\r\nC:\r\n\r\nrest",
	"1a\r\nabcdefghijklmnopqrstuvwxyz\r\n1\r\n\r\r\n0;x\r\n\r\n",
	"00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
};

/* ---- chance ---- */

static uint64_t state;
static uint64_t seed_of_round;

static uint64_t number(void)
{
	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static size_t below(size_t bound)
{
	return bound ? (size_t)(number() % bound) : 0;
}

static void round_begin(uint64_t round)
{
	const char *said = getenv("TEN_SEED");

	seed_of_round = (said ? strtoull(said, NULL, 10) : SEED) + round;
	state = seed_of_round * 0x9e3779b97f4a7c15ull + 1;
	number();
}

#define require(condition)                                                                         \
	ck_assert_msg(condition, "%s; again with TEN_SEED=%" PRIu64, #condition, seed_of_round)

/* A few of the texts, then some damage: a byte changed, taken out, put in, or a piece said twice.
 */
static size_t data_make(char data[DATA_MAX], const char *const *texts, size_t count)
{
	static const char spice[] = "\r\n\t :;,0\0\x7f\xff/?";
	const char *text = texts[below(count)];
	size_t len = strlen(text);
	size_t damages = below(4); /* often none */

	memcpy(data, text, len);
	while (damages--) {
		size_t at = below(len + 1);
		char byte = below(2) ? spice[below(sizeof(spice) - 1)] : (char)below(256);
		size_t piece = below(len - at + 1);

		switch (below(4)) {
		case 0:
			if (at < len)
				data[at] = byte;
			break;
		case 1:
			if (at < len)
				memmove(data + at, data + at + 1, --len - at);
			break;
		case 2:
			memmove(data + at + 1, data + at, len++ - at);
			data[at] = byte;
			break;
		default:
			if (piece > 64 || len + piece > DATA_MAX / 2)
				break;
			memmove(data + at + piece, data + at, len - at);
			len += piece;
			break;
		}
	}
	return len;
}

/* ---- heads ---- */

static struct http_head whole, pieces;

static void same_text(const struct http_text *one, const struct http_text *other)
{
	require(one->len == other->len && !one->data == !other->data);
	require(!one->len || !memcmp(one->data, other->data, one->len));
}

static void same_fields(void)
{
	require(whole.field_count == pieces.field_count);
	for (uint32_t i = 0; i < whole.field_count; i++) {
		const struct http_field *one = &whole.fields[i], *other = &pieces.fields[i];

		require(one->name == other->name && one->name_len == other->name_len);
		require(one->value == other->value && one->value_len == other->value_len);
		require(one->id == other->id);
	}
}

static void same_head(void)
{
	require(whole.refused_status == pieces.refused_status);
	require(!whole.refused_reason == !pieces.refused_reason);
	require(!whole.refused_reason || !strcmp(whole.refused_reason, pieces.refused_reason));
	require(whole.method == pieces.method && whole.form == pieces.form);
	require(whole.status == pieces.status && whole.minor == pieces.minor);
	require(whole.body == pieces.body && whole.chunked == pieces.chunked);
	require(whole.has_length == pieces.has_length);
	require(whole.content_length == pieces.content_length);
	require(whole.expects_continue == pieces.expects_continue);
	require(whole.connection_close == pieces.connection_close);
	require(whole.connection_keep_alive == pieces.connection_keep_alive);
	require(whole.connection_upgrade == pieces.connection_upgrade);
	require(whole.has_upgrade == pieces.has_upgrade);
	same_text(&whole.path, &pieces.path);
	same_text(&whole.query, &pieces.query);
	same_text(&whole.host, &pieces.host);
	same_text(&whole.authority, &pieces.authority);
	same_text(&whole.reason, &pieces.reason);
	same_fields();
}

static void head_round(enum http_kind kind, const char *const *texts, size_t count)
{
	char data[DATA_MAX];
	size_t len = data_make(data, texts, count);
	uint32_t max_bytes = below(4) ? 1024 : 16 + (uint32_t)below(128);
	uint32_t max_fields = below(4) ? 16 : (uint32_t)below(4);
	int at_once, in_pieces = 0;
	size_t at = 0;

	http_head_init(&whole, kind, max_bytes, max_fields);
	http_head_init(&pieces, kind, max_bytes, max_fields);
	at_once = http_head_parse(&whole, data, len);
	while (at < len && !in_pieces) {
		size_t piece = 1 + below(below(2) ? 3 : len - at);
		at = piece < len - at ? at + piece : len;
		in_pieces = http_head_parse(&pieces, data, at);
	}
	require(at_once == in_pieces && at_once <= (int)len);
	if (at_once)
		same_head();
	/* It stays with what it has said. */
	if (at_once)
		require(http_head_parse(&pieces, data, len) == at_once);
}

START_TEST(test_heads)
{
	for (uint64_t round = 0; round < ROUNDS; round++) {
		round_begin(round);
		head_round(HTTP_REQUEST, requests, sizeof(requests) / sizeof(requests[0]));
		head_round(HTTP_RESPONSE, responses, sizeof(responses) / sizeof(responses[0]));
	}
}
END_TEST

/* ---- chunks ---- */

struct result {
	char data[WINDOW_OF];
	size_t len;
	size_t used; /* bytes of the input up to the end, or all */
	bool refused;
	bool done;
};

/* What the decoder says of DATA, given it in pieces of up to MOST bytes. */
static void chunks_run(struct result *result, const char *data, size_t len, size_t most)
{
	struct http_chunk chunk;
	size_t at = 0, given = 0;

	*result = (struct result){ .len = 0 };
	http_chunk_init(&chunk);
	while (at < len && !http_chunk_done(&chunk)) {
		size_t data_bytes;
		int64_t bytes;

		if (at == given)
			given += 1 + below(most < len - at ? most : len - at);
		bytes = http_chunk_next(&chunk, data + at, given - at, &data_bytes);
		if (bytes < 0) {
			result->refused = true;
			return;
		}
		require((size_t)bytes <= given - at && data_bytes <= (size_t)bytes);
		require(bytes > 0 || http_chunk_done(&chunk));
		at += (size_t)bytes;
		memcpy(result->data + result->len, data + at - data_bytes, data_bytes);
		result->len += data_bytes;
	}
	result->used = at;
	result->done = http_chunk_done(&chunk);
}

/* DATA up to where it is refused decodes to the same; so compare what came before that, too. */
static void same_result(const struct result *one, const struct result *other)
{
	require(one->refused == other->refused && one->done == other->done);
	require(one->len == other->len && !memcmp(one->data, other->data, one->len));
	require(one->used == other->used);
}

START_TEST(test_chunks)
{
	static struct result at_once, in_pieces;
	char data[DATA_MAX];

	for (uint64_t round = 0; round < ROUNDS; round++) {
		size_t len;

		round_begin(round);
		len = data_make(data, bodies, sizeof(bodies) / sizeof(bodies[0]));
		chunks_run(&in_pieces, data, len, 1 + below(8));
		chunks_run(&at_once, data, len, 1);
		same_result(&at_once, &in_pieces);
	}
}
END_TEST

/* ---- bodies ---- */

/* What goes out when DATA comes in in pieces of up to MOST bytes; without the framing we put on. */
static void body_run(struct result *result, const char *data, size_t len, size_t most,
	enum http_body from, uint64_t length, enum http_coding to)
{
	struct http_window window = { .data = malloc(WINDOW_OF), .room = WINDOW_OF };
	struct http_transfer transfer;

	*result = (struct result){ .len = 0 };
	http_transfer_init(&transfer, from, length, to);
	http_window_reset(&window);
	while (!transfer.done && result->used < len) {
		size_t piece = 1 + below(most);

		if (piece > len - result->used)
			piece = len - result->used;
		http_window_reset(&window);
		memcpy(window.data + window.end, data + result->used, piece);
		window.end += (uint32_t)piece;
		if (http_transfer_take(&transfer, &window) < 0) {
			result->refused = true;
			break;
		}
		require(window.at <= window.ready && window.ready <= window.end);
		require(window.end <= window.room);
		memcpy(result->data + result->len, window.data + window.at,
			window.ready - window.at);
		result->len += window.ready - window.at;
		result->used += piece - (window.end - window.ready);
		/* What lies behind the end is as it came. */
		require(!memcmp(window.data + window.ready, data + result->used,
			window.end - window.ready));
	}
	if (!result->refused && from == HTTP_BODY_UNTIL_CLOSE) {
		http_window_reset(&window);
		require(http_transfer_eof(&transfer, &window) == 0);
		memcpy(result->data + result->len, window.data + window.at,
			window.ready - window.at);
		result->len += window.ready - window.at;
	}
	result->done = transfer.done;
	free(window.data);
}

/* What was chunked by us, at whatever places, is the same body. */
static void body_round(const char *data, size_t len, enum http_body from, uint64_t length)
{
	static struct result at_once, in_pieces, anew, again;

	body_run(&at_once, data, len, len, from, length, HTTP_CODING_PLAIN);
	body_run(&in_pieces, data, len, 1 + below(8), from, length, HTTP_CODING_PLAIN);
	require(at_once.refused == in_pieces.refused);
	if (at_once.refused)
		return;
	same_result(&at_once, &in_pieces);
	body_run(&anew, data, len, 24 + below(len), from, length, HTTP_CODING_CHUNKED);
	require(anew.done == at_once.done && anew.used == at_once.used);
	if (!anew.done)
		return;
	body_run(
		&again, anew.data, anew.len, 1 + below(8), HTTP_BODY_CHUNKED, 0, HTTP_CODING_PLAIN);
	require(again.done && again.used == anew.len);
	require(again.len == at_once.len && !memcmp(again.data, at_once.data, again.len));
}

START_TEST(test_bodies)
{
	char data[DATA_MAX];

	for (uint64_t round = 0; round < ROUNDS; round++) {
		size_t len;

		round_begin(round);
		len = data_make(data, bodies, sizeof(bodies) / sizeof(bodies[0]));
		if (!len)
			continue;
		body_round(data, len, HTTP_BODY_CHUNKED, 0);
		body_round(data, len, HTTP_BODY_LENGTH, 1 + below(2 * len));
		body_round(data, len, HTTP_BODY_UNTIL_CLOSE, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_split");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_heads);
	tcase_add_test(tests, test_chunks);
	tcase_add_test(tests, test_bodies);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#include "session.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "hex.h"
#include "mem.h"

#define HEAD "tenement-sessions 1 "

struct session {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char id[TOKEN_ID_SIZE];
	int64_t begun, used;
	UT_hash_handle hh;
};

struct sessions {
	struct session *table;
};

struct sessions *sessions_new(void)
{
	return mem_alloc(sizeof(struct sessions));
}

static void forget(struct sessions *sessions, struct session *session)
{
	HASH_DEL(sessions->table, session);
	explicit_bzero(session, sizeof(*session));
	free(session);
}

void sessions_free(struct sessions *sessions)
{
	struct session *session, *next;

	if (!sessions)
		return;
	HASH_ITER (hh, sessions->table, session, next)
		forget(sessions, session);
	free(sessions);
}

size_t sessions_count(const struct sessions *sessions)
{
	return HASH_COUNT(sessions->table);
}

static bool is_over(const struct session *session, int64_t now)
{
	return now < session->begun || now - session->begun >= SESSION_LIFE_SECS ||
	       now - session->used >= SESSION_IDLE_SECS;
}

/* Of ID (NULL: of any) the one that was used least of late. */
static struct session *stalest(struct sessions *sessions, const char *id, unsigned *count)
{
	struct session *session, *next, *found = NULL;

	*count = 0;
	HASH_ITER (hh, sessions->table, session, next) {
		if (id && strcmp(session->id, id) != 0)
			continue;
		++*count;
		if (!found || session->used < found->used)
			found = session;
	}
	return found;
}

static void make_room(struct sessions *sessions, const char *id, int64_t now)
{
	struct session *session, *next;
	unsigned count;

	HASH_ITER (hh, sessions->table, session, next)
		if (is_over(session, now))
			forget(sessions, session);
	session = stalest(sessions, id, &count);
	if (session && count >= SESSIONS_PER_TOKEN)
		forget(sessions, session);
	session = stalest(sessions, NULL, &count);
	if (session && count >= SESSIONS_MAX)
		forget(sessions, session);
}

static void add(struct sessions *sessions, const struct session *what)
{
	struct session *session = mem_alloc(sizeof(*session));

	*session = *what;
	HASH_ADD(hh, sessions->table, digest, sizeof(session->digest), session);
}

static bool digest_of(const char *value, size_t len, unsigned char digest[SHA256_DIGEST_LENGTH])
{
	return len == SESSION_TEXT_SIZE - 1 &&
	       SHA256((const unsigned char *)value, len, digest) != NULL;
}

static struct session *find(struct sessions *sessions, const char *value, size_t len)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct session *session = NULL;

	if (digest_of(value, len, digest))
		HASH_FIND(hh, sessions->table, digest, sizeof(digest), session);
	return session;
}

void session_add(struct sessions *sessions, const unsigned char random[SESSION_BYTES],
	const char *id, int64_t now, char value[SESSION_TEXT_SIZE])
{
	struct session session = { .begun = now, .used = now };

	hex_put(random, SESSION_BYTES, value);
	digest_of(value, SESSION_TEXT_SIZE - 1, session.digest);
	snprintf(session.id, sizeof(session.id), "%s", id);
	make_room(sessions, id, now);
	add(sessions, &session);
}

const char *session_find(struct sessions *sessions, const char *value, size_t len, int64_t now)
{
	struct session *session = find(sessions, value, len);

	if (session && is_over(session, now)) {
		forget(sessions, session);
		return NULL;
	}
	if (!session)
		return NULL;
	session->used = now;
	return session->id;
}

bool session_lives(struct sessions *sessions, const char *value, size_t len, int64_t now)
{
	const struct session *session = find(sessions, value, len);

	return session && !is_over(session, now);
}

bool session_remove(struct sessions *sessions, const char *value, size_t len)
{
	struct session *session = find(sessions, value, len);

	if (session)
		forget(sessions, session);
	return session != NULL;
}

/* ---- the record ---- */

void sessions_format(const struct sessions *sessions, const char *boot, struct text *out)
{
	struct session *session, *next;
	char hex[2 * SHA256_DIGEST_LENGTH + 1];

	text_printf(out, HEAD "%s\n", boot);
	HASH_ITER (hh, sessions->table, session, next) {
		hex_put(session->digest, sizeof(session->digest), hex);
		text_printf(out, "%s %s %" PRId64 " %" PRId64 "\n", hex, session->id,
			session->begun, session->used);
	}
}

static bool read_line(const char *line, struct session *session)
{
	char hex[2 * SHA256_DIGEST_LENGTH + 1], again[200];

	if (sscanf(line, "%64[0-9a-f] %8[0-9a-f] %" SCNd64 " %" SCNd64, hex, session->id,
		    &session->begun, &session->used) != 4)
		return false;
	snprintf(again, sizeof(again), "%s %s %" PRId64 " %" PRId64, hex, session->id,
		session->begun, session->used);
	return strcmp(line, again) == 0 && strlen(hex) == sizeof(hex) - 1 &&
	       token_is_id(session->id) && session->begun >= 0 && session->used >= session->begun &&
	       hex_take(hex, session->digest, sizeof(session->digest));
}

/* The lines, all of them or none. */
static int read_lines(char *rest, struct sessions *into, int64_t now)
{
	char *line;

	while ((line = strsep(&rest, "\n")) && (*line || rest)) {
		struct session session = { 0 }, *there;

		if (!rest || !read_line(line, &session))
			return -1;
		HASH_FIND(hh, into->table, session.digest, sizeof(session.digest), there);
		if (there || sessions_count(into) >= SESSIONS_MAX)
			return -1;
		if (!is_over(&session, now) && session.used <= now)
			add(into, &session);
	}
	return 0;
}

int sessions_parse(struct sessions *sessions, const char *data, size_t len, const char *boot,
	int64_t now, struct ten_error *err)
{
	autofree char *copy = mem_strndup(data, len);
	char *rest = copy, *head = strsep(&rest, "\n");
	struct sessions read = { 0 };
	struct session *session, *next;

	if (len > SESSIONS_RECORD_MAX || strlen(copy) + (rest ? strlen(rest) + 1 : 0) != len ||
		!rest || strncmp(head, HEAD, strlen(HEAD)) != 0)
		return ten_error_set(err, 0, "no record of sessions");
	if (strcmp(head + strlen(HEAD), boot) != 0)
		return 0;
	if (read_lines(rest, &read, now) < 0) {
		HASH_ITER (hh, read.table, session, next)
			forget(&read, session);
		return ten_error_set(err, 0, "no record of sessions");
	}
	HASH_ITER (hh, read.table, session, next) {
		HASH_DEL(read.table, session);
		HASH_ADD(hh, sessions->table, digest, sizeof(session->digest), session);
	}
	return 0;
}

/* ---- the cookie ---- */

bool session_cookie_next(
	const char *field, size_t len, const char *name, size_t *at, struct http_text *value)
{
	size_t name_len = strlen(name);

	while (*at < len) {
		const char *begin = field + *at, *end = memchr(begin, ';', len - *at);

		if (!end)
			end = field + len;
		*at = (size_t)(end - field) + 1;
		while (begin < end && (*begin == ' ' || *begin == '\t'))
			begin++;
		while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if ((size_t)(end - begin) <= name_len || memcmp(begin, name, name_len) != 0 ||
			begin[name_len] != '=')
			continue;
		*value = (struct http_text){ begin + name_len + 1,
			(size_t)(end - begin) - name_len - 1 };
		return true;
	}
	return false;
}

#include "token.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "names.h"
#include "utf8.h"

#define HEAD       "tenement-token 1"
#define PREFIX_LEN (sizeof(TOKEN_PREFIX) - 1)
#define SECS_MAX   INT64_C(253402300799) /* the last second of the year 9999 */

const char *const token_scope_names[TOKEN_SCOPES] = {
	[TOKEN_ALL] = "all",
	[TOKEN_TENANT] = "tenant",
	[TOKEN_INSTANCE] = "instance",
};
static const char *const rights_names[] = { "all", "read" };

/* ---- digits ---- */

/* All of the LEN digits at TEXT, and as many as that. */
static bool from_hex(const char *text, size_t len, unsigned char *bytes, size_t count)
{
	return len == 2 * count && hex_take(text, bytes, count);
}

/* ---- the token ---- */

void token_show(const unsigned char random[TOKEN_BYTES], char text[TOKEN_TEXT_SIZE])
{
	memcpy(text, TOKEN_PREFIX, PREFIX_LEN);
	hex_put(random, TOKEN_BYTES, text + PREFIX_LEN);
}

void token_show_id(const unsigned char random[TOKEN_ID_BYTES], char id[TOKEN_ID_SIZE])
{
	hex_put(random, TOKEN_ID_BYTES, id);
}

bool token_is_id(const char *text)
{
	unsigned char bytes[TOKEN_ID_BYTES];

	return from_hex(text, strlen(text), bytes, sizeof(bytes));
}

bool token_digest(const char *text, size_t len, unsigned char digest[TOKEN_DIGEST_BYTES])
{
	if (len != TOKEN_TEXT_SIZE - 1 || memcmp(text, TOKEN_PREFIX, PREFIX_LEN) != 0)
		return false;
	return SHA256((const unsigned char *)text, len, digest) != NULL;
}

bool token_same(
	const unsigned char a[TOKEN_DIGEST_BYTES], const unsigned char b[TOKEN_DIGEST_BYTES])
{
	return CRYPTO_memcmp(a, b, TOKEN_DIGEST_BYTES) == 0;
}

bool token_expired(const struct token *token, int64_t now)
{
	return token->expires && now >= token->expires;
}

/* ---- what it is good for ---- */

static int check_instance(const char *of, struct ten_error *err)
{
	const char *colon = strchr(of, ':');
	char service[NAMES_MAX + 1];

	if (!colon || colon - of > NAMES_MAX)
		return ten_error_set(err, 0, "\"%s\" is not SERVICE:ID", of);
	memcpy(service, of, (size_t)(colon - of));
	service[colon - of] = '\0';
	if (names_check(service, err) < 0 || names_check(colon + 1, err) < 0)
		return ten_error_wrap(err, "\"%s\"", of);
	return 0;
}

int token_set_scope(
	struct token *token, enum token_scope scope, const char *of, struct ten_error *err)
{
	if (strlen(of) >= sizeof(token->of))
		return ten_error_set(err, 0, "a name of %zu bytes is too long", strlen(of));
	if (scope == TOKEN_ALL && *of)
		return ten_error_set(err, 0, "a token of everything is of \"%s\"", of);
	if (scope == TOKEN_TENANT && names_check(of, err) < 0)
		return ten_error_wrap(err, "\"%s\"", of);
	if (scope == TOKEN_INSTANCE && check_instance(of, err) < 0)
		return -1;
	token->scope = scope;
	snprintf(token->of, sizeof(token->of), "%s", of);
	return 0;
}

/* One line of text, without what would steer a terminal. */
static bool is_line(const char *text, size_t len)
{
	while (len) {
		size_t bytes = utf8_length((const unsigned char *)text, len);

		if (!bytes || (unsigned char)*text < ' ' || *text == 0x7f)
			return false;
		/* U+0080 to U+009F are control characters too. */
		if (bytes == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0)
			return false;
		text += bytes;
		len -= bytes;
	}
	return true;
}

int token_set_description(struct token *token, const char *description, struct ten_error *err)
{
	size_t len = strlen(description);

	if (len > TOKEN_DESCRIPTION_MAX)
		return ten_error_set(err, 0, "a description is at most %d bytes long, this one %zu",
			TOKEN_DESCRIPTION_MAX, len);
	if (!is_line(description, len))
		return ten_error_set(err, 0, "a description is one line of UTF-8");
	memcpy(token->description, description, len + 1);
	return 0;
}

/* ---- the record ---- */

void token_format(const struct token *token, struct text *out)
{
	char digest[2 * TOKEN_DIGEST_BYTES + 1];

	hex_put(token->digest, TOKEN_DIGEST_BYTES, digest);
	text_printf(out,
		HEAD "\nid %s\nsha256 %s\nscope %s%s%s\nrights %s\ncreated %" PRId64
		     "\nexpires %" PRId64 "\nby %s\ndescription %s\n",
		token->id, digest, token_scope_names[token->scope], *token->of ? " " : "",
		token->of, rights_names[token->read_only], token->created, token->expires,
		token->by, token->description);
}

/* The next line, if it begins with KEY and a blank: what stands behind them, and its length. */
static const char *take(const char **at, const char *end, const char *key, size_t *len)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	const char *value = *at + strlen(key) + 1;

	if (!newline || value > newline || memcmp(*at, key, strlen(key)) != 0 || value[-1] != ' ')
		return NULL;
	*len = (size_t)(newline - value);
	*at = newline + 1;
	return value;
}

/* The same, copied into the SIZE bytes at OUT. */
static bool take_text(const char **at, const char *end, const char *key, char *out, size_t size)
{
	size_t len;
	const char *value = take(at, end, key, &len);

	if (!value || len >= size || !is_line(value, len))
		return false;
	memcpy(out, value, len);
	out[len] = '\0';
	return true;
}

static bool take_moment(const char **at, const char *end, const char *key, int64_t *secs)
{
	char text[16];
	size_t digits;

	if (!take_text(at, end, key, text, sizeof(text)))
		return false;
	digits = strspn(text, "0123456789");
	if (!digits || text[digits] || (text[0] == '0' && digits > 1))
		return false;
	*secs = strtoll(text, NULL, 10);
	return *secs <= SECS_MAX;
}

static bool take_scope(const char **at, const char *end, struct token *token)
{
	char text[CONFIG_INSTANCE_MAX + 16], *of;

	if (!take_text(at, end, "scope", text, sizeof(text)))
		return false;
	of = strchr(text, ' ');
	if (of)
		*of++ = '\0';
	for (int i = TOKEN_ALL; i < TOKEN_SCOPES; i++)
		if (strcmp(text, token_scope_names[i]) == 0 && !of == (i == TOKEN_ALL))
			return token_set_scope(token, (enum token_scope)i, of ? of : "", NULL) == 0;
	return false;
}

static bool take_rights(const char **at, const char *end, struct token *token)
{
	char text[8];

	if (!take_text(at, end, "rights", text, sizeof(text)))
		return false;
	token->read_only = strcmp(text, rights_names[true]) == 0;
	return token->read_only || strcmp(text, rights_names[false]) == 0;
}

static bool take_digest(const char **at, const char *end, struct token *token)
{
	size_t len;
	const char *value = take(at, end, "sha256", &len);

	return value && from_hex(value, len, token->digest, TOKEN_DIGEST_BYTES);
}

int token_parse(const char *data, size_t len, struct token *token, struct ten_error *err)
{
	const char *at = data, *end = data + len;
	char version[8];

	*token = (struct token){ 0 };
	if (!take_text(&at, end, "tenement-token", version, sizeof(version)))
		return ten_error_set(err, 0, "it is no record of a token");
	if (strcmp(version, "1") != 0)
		return ten_error_set(err, 0, "it is of version %s, and 1 is known", version);
	if (!take_text(&at, end, "id", token->id, sizeof(token->id)) || !token_is_id(token->id) ||
		!take_digest(&at, end, token) || !take_scope(&at, end, token) ||
		!take_rights(&at, end, token) ||
		!take_moment(&at, end, "created", &token->created) ||
		!take_moment(&at, end, "expires", &token->expires) ||
		!take_text(&at, end, "by", token->by, sizeof(token->by)) ||
		!take_text(
			&at, end, "description", token->description, sizeof(token->description)) ||
		at != end)
		return ten_error_set(err, 0, "it is torn, or was not written by tenement");
	return 0;
}

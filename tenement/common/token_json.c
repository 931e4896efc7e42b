#include "common/token_json.h"

#include <stdbool.h>
#include <string.h>

/* The last second of the year 9999. */
#define MOMENT_MAX INT64_C(253402300799)

static json_t *moment(int64_t secs)
{
	return secs ? json_integer(secs) : json_null();
}

json_t *token_json(const struct token *token, int64_t used, int64_t now)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:o, s:b, s:o, s:s, s:s}", "id", token->id,
		"scope", token_scope_names[token->scope], "of", token->of, "read_only",
		token->read_only, "created", (json_int_t)token->created, "expires",
		moment(token->expires), "expired", token_expired(token, now), "last_used",
		moment(used), "by", token->by, "description", token->description);
}

/* The string NAME of BODY in *TEXT, NULL when there is none. (Null is no string: who has lost the
 * name of a tenant does not want a token of all.) */
static int take_string(
	const json_t *body, const char *name, const char **text, struct ten_error *err)
{
	const json_t *value = json_object_get(body, name);

	*text = json_string_value(value);
	if (value && !*text)
		return ten_error_set(err, 0, "\"%s\" is not a string", name);
	return 0;
}

static int take_scope(const json_t *body, struct token *token, struct ten_error *err)
{
	const char *tenant, *instance;

	if (take_string(body, "tenant", &tenant, err) < 0 ||
		take_string(body, "instance", &instance, err) < 0)
		return -1;
	if (tenant && instance)
		return ten_error_set(err, 0, "a token is of a tenant or of an instance, not both");
	if (tenant)
		return token_set_scope(token, TOKEN_TENANT, tenant, err);
	if (instance)
		return token_set_scope(token, TOKEN_INSTANCE, instance, err);
	return token_set_scope(token, TOKEN_ALL, "", err);
}

/* What is misspelt would give more than was meant. */
static int check_names(const json_t *body, struct ten_error *err)
{
	static const char *const known[] = { "tenant", "instance", "read_only", "expires",
		"description" };
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)body, name, value) {
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			is_known |= strcmp(name, known[i]) == 0;
		if (!is_known)
			return ten_error_set(err, 0, "a token has no \"%s\"", name);
	}
	return 0;
}

int token_json_read(const json_t *body, int64_t now, struct token *token, struct ten_error *err)
{
	const json_t *read_only = json_object_get(body, "read_only");
	const json_t *expires = json_object_get(body, "expires");
	const char *description;

	if (check_names(body, err) < 0 || take_scope(body, token, err) < 0 ||
		take_string(body, "description", &description, err) < 0)
		return -1;
	if (read_only && !json_is_boolean(read_only))
		return ten_error_set(err, 0, "\"read_only\" is neither true nor false");
	token->read_only = json_is_true(read_only);
	if (expires && !json_is_null(expires)) {
		token->expires = json_integer_value(expires);
		if (!json_is_integer(expires) || token->expires <= now ||
			token->expires > MOMENT_MAX)
			return ten_error_set(err, 0,
				"\"expires\" is not a moment to come, in seconds since the epoch");
	}
	return token_set_description(token, description ? description : "", err);
}

/* /api/session: signing in at the dashboard by a token, and out. */
#include <stdio.h>
#include <string.h>

#include "daemon/control_connection.h"
#include "daemon/endpoints.h"
#include "daemon/sessions.h"
#include "daemon/tokens.h"

#define COOKIES_MAX 8 /* of one name that are looked at: a tenant's page can set more of it */

/* Whether the browser came by TLS, which our own proxy says. */
static bool is_https(const struct control_call *call)
{
	char proto[8] = "";

	return call->connection->by_proxy &&
	       control_header(call, "x-forwarded-proto", proto, sizeof(proto)) &&
	       strcmp(proto, "https") == 0;
}

static const char *cookie_name(const struct control_call *call)
{
	return is_https(call) ? SESSION_COOKIE_HTTPS : SESSION_COOKIE;
}

static void set_cookie(struct control_call *call, const char *value, int life_secs)
{
	control_add_header(call,
		"Set-Cookie: %s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s",
		cookie_name(call), value, life_secs, is_https(call) ? "; Secure" : "");
}

/* Give each value of the session's cookie to TRY until it takes one. */
static bool each_cookie(struct control_call *call,
	bool (*try)(struct control_call *call, const struct http_text *value))
{
	const struct http_field *field = http_head_field(call->head, "cookie");
	struct http_text value;
	size_t at = 0;

	for (int tried = 0; field && tried < COOKIES_MAX; tried++) {
		if (!session_cookie_next(
			    field->value, field->value_len, cookie_name(call), &at, &value))
			return false;
		if (try(call, &value))
			return true;
	}
	return false;
}

static bool try_to_know(struct control_call *call, const struct http_text *value)
{
	char *session = call->connection->session;

	if (sessions_check(call->d, value->data, value->len, &call->who) < 0)
		return false;
	snprintf(session, SESSION_TEXT_SIZE, "%.*s", (int)value->len, value->data);
	return true;
}

bool control_session_know(struct control_connection *connection)
{
	struct control_call call = {
		.d = connection->daemon, .connection = connection, .head = &connection->head
	};

	if (!each_cookie(&call, try_to_know))
		return false;
	connection->who = call.who;
	return true;
}

static json_t *describe(struct control_call *call, const struct principal *who)
{
	static const char *const scopes[] = {
		[SCOPE_NONE] = "none",
		[SCOPE_ALL] = "all",
		[SCOPE_TENANT] = "tenant",
		[SCOPE_INSTANCE] = "instance",
	};

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "name", who->name, "scope",
		scopes[who->scope], "of", who->of, "read_only", who->read_only, "domain",
		call->d->domain, "version", TEN_VERSION);
}

void control_session_show(struct control_call *call)
{
	control_answer(call, 200, describe(call, &call->who));
}

static void refuse_for_now(struct control_call *call, unsigned wait_secs)
{
	control_add_header(call, "Retry-After: %u", wait_secs);
	control_refuse(call, 429, "too many wrong tokens came from this address: try again in %u s",
		wait_secs);
}

void control_session_begin(struct control_call *call)
{
	const char *token = control_string(call, "token"), *address = call->connection->address;
	char type[64] = "", value[SESSION_TEXT_SIZE];
	struct ten_error err = { 0 };
	struct principal who;
	unsigned wait_secs;
	int verdict;

	/* (a form of another page can send any body, but not as this type) */
	control_header(call, "content-type", type, sizeof(type));
	if (!token || strncmp(type, "application/json", strlen("application/json")) != 0) {
		control_refuse(call, 422, "{\"token\": \"...\"} is needed, as application/json");
		return;
	}
	if (!tokens_may_try(call->d, address, &wait_secs)) {
		refuse_for_now(call, wait_secs);
		return;
	}
	verdict = tokens_check(call->d, token, strlen(token), &who);
	if (verdict == TOKENS_GOOD &&
		sessions_begin(call->d, tokens_id_of(&who), value, &err) < 0) {
		control_refuse(call, 500, "%s", err.text);
	} else if (verdict == TOKENS_GOOD) {
		call->connection->who = who;
		set_cookie(call, value, SESSION_LIFE_SECS);
		control_answer(call, 200, describe(call, &who));
	} else {
		if (verdict != TOKENS_EXPIRED)
			tokens_failed(call->d, address);
		control_refuse(call, 401, "%s",
			verdict == TOKENS_EXPIRED
				? "This token has expired."
				: "This token is not known: it is wrong, or was revoked.");
	}
}

static bool try_to_end(struct control_call *call, const struct http_text *value)
{
	return sessions_end(call->d, value->data, value->len);
}

void control_session_end(struct control_call *call)
{
	each_cookie(call, try_to_end);
	set_cookie(call, "", 0);
	control_answer_empty(call, 204);
}

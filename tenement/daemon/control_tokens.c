/* Tokens: made, listed and revoked. */
#include <string.h>
#include <time.h>

#include "common/token_json.h"
#include "daemon/endpoints.h"
#include "daemon/tokens.h"

static void add(void *data, const struct token *token, int64_t used)
{
	json_array_append_new(data, token_json(token, used, (int64_t)time(NULL)));
}

void control_tokens_list(struct control_call *call)
{
	json_t *list = json_array();

	tokens_each(call->d, add, list);
	control_answer(call, 200, list);
}

/* The one answer that a token itself is in. */
void control_token_make(struct control_call *call)
{
	struct token token = { 0 };
	char text[TOKEN_TEXT_SIZE];
	struct ten_error err = { 0 };
	json_t *answer;

	if (token_json_read(call->body, (int64_t)time(NULL), &token, &err) < 0) {
		control_refuse(call, 422, "%s", err.text);
		return;
	}
	snprintf(token.by, sizeof(token.by), "%s", call->who.name);
	if (tokens_add(call->d, &token, text, &err) < 0) {
		control_refuse(call, 500, "the token could not be kept: %s", err.text);
		return;
	}
	answer = token_json(&token, 0, token.created);
	json_object_set_new(answer, "token", json_string(text));
	explicit_bzero(text, sizeof(text));
	control_add_header(call, "Cache-Control: no-store");
	control_answer(call, 201, answer);
}

void control_token_revoke(struct control_call *call)
{
	struct ten_error err = { 0 };
	int revoked = tokens_remove(call->d, call->name, &err);

	if (revoked < 0)
		control_refuse(call, 500, "the token is still there: %s", err.text);
	else if (!revoked)
		control_refuse(
			call, 404, "there is no token %s: `ten tokens` lists them", call->name);
	else
		control_answer(call, 200, json_pack("{s:s}", "revoked", call->name));
}

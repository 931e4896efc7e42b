#include "cli/instance.h"

#include <string.h>

#include "cli/answer.h"
#include "mem.h"
#include "text.h"

static bool is_one_of(const char *state, const char *const *states)
{
	for (; *states; states++) {
		if (strcmp(state, *states) == 0)
			return true;
	}
	return false;
}

bool instance_is_up(const char *state)
{
	return is_one_of(state, (const char *const[]){ "ready", "frozen", NULL });
}

bool instance_is_down(const char *state)
{
	return is_one_of(
		state, (const char *const[]){ "asleep", "stopped", "suspended", "failed", NULL });
}

bool instance_is_in_trouble(const char *state)
{
	return is_one_of(state, (const char *const[]){ "failed", "backoff", NULL });
}

enum term_style instance_style(const char *state)
{
	if (instance_is_up(state))
		return TERM_GREEN;
	if (instance_is_in_trouble(state))
		return TERM_RED;
	return instance_is_down(state) ? TERM_DIM : TERM_YELLOW;
}

static void add_part(struct text *out, const char *before, const char *part)
{
	if (*part)
		text_printf(out, "%s%s%s", out->len ? "; " : "", before, part);
}

char *instance_note(const json_t *instance)
{
	struct text out = { 0 };
	autofree char *overridden = answer_joined(instance, "overridden", ", ");

	if (is_one_of(answer_text(instance, "health"),
		    (const char *const[]){ "degraded", "unhealthy", NULL }))
		add_part(&out, "", answer_text(instance, "health"));
	add_part(&out, "", answer_text(instance, "reason"));
	if (answer_flag(instance, "last_good"))
		add_part(&out, "", "last good state: its file is wrong");
	add_part(&out, "overridden: ", overridden);
	return text_steal(&out);
}

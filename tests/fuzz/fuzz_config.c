/*
 * A life of a conf.d as a script: a line "@NAME" begins a file's text, which the next line with
 * "@", "-", "!", "?" or "+" ends; "-NAME" removes a file, "+NAME" begins a seed, "!" judges, "?"
 * tries. After each judgement the texts in force, taken together by a set that never saw the
 * others, must give the same instances, without a problem; a try must change nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_set.h"
#include "mem.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JUDGEMENTS_MAX = 12 };

static const struct config_place place = {
	.main_path = "/srv/tenement.toml", .conf_dir = "/srv/conf.d", .root = true
};

struct life {
	struct config_set *set;
	char name[40];
	char command; /* of the text at hand; 0: none */
	struct text text;
	int judgements;
};

static void require(bool truth)
{
	if (!truth)
		abort();
}

struct copy {
	const struct config_set *from;
	struct config_set *to;
};

static void copy_file(void *data, const char *name, bool good)
{
	const struct copy *copy = data;
	size_t len;
	const char *text = config_set_text(copy->from, name, &len);

	(void)good;
	if (text)
		config_set_stage(copy->to, name, text, len);
}

static void compare_spec(void *data, const struct ten_spec *spec)
{
	const struct ten_spec *other = config_set_instance(data, spec->key);

	require(other && other->restart_hash == spec->restart_hash &&
		other->live_hash == spec->live_hash);
	require(strcmp(other->file, spec->file) == 0 && other->line == spec->line);
	require(mem_strv_length(other->claims) == mem_strv_length(spec->claims));
}

/* The texts in force stand by themselves. */
static void check_state(const struct config_set *set)
{
	struct copy copy = { set, config_set_new(&place) };
	struct config_change change;
	const struct config_problem *problems;

	config_set_each_file(set, copy_file, &copy);
	config_set_judge(copy.to, &change);
	require(!change.rejected[0]);
	require(config_set_problems(copy.to, &problems) == 0);
	require(config_set_instance_count(copy.to) == config_set_instance_count(set));
	config_set_each_instance(set, compare_spec, copy.to);
	config_change_clear(&change);
	config_set_free(copy.to);
}

static char *all_problems(struct config_set *set)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(set, &problems);
	struct text all = { 0 };

	for (size_t i = 0; i < count; i++) {
		autofree char *text = config_problem_text(&problems[i]);
		text_puts(&all, text);
	}
	return text_steal(&all);
}

static void judge(struct life *life)
{
	struct config_change change;

	if (++life->judgements > JUDGEMENTS_MAX)
		return;
	config_set_judge(life->set, &change);
	for (size_t i = 0; change.rejected[i]; i++)
		for (size_t j = 0; change.accepted[j]; j++)
			require(strcmp(change.rejected[i], change.accepted[j]) != 0);
	config_change_clear(&change);
	check_state(life->set);
	/* Once more changes nothing. */
	config_set_judge(life->set, &change);
	require(!change.accepted[0] && !change.instances[0] && !change.routes[0] &&
		!change.settings);
	config_change_clear(&change);
}

static void try(struct life *life)
{
	struct config_change change;
	autofree char *before = NULL;
	autofree char *after = NULL;
	char **problems = NULL;
	size_t count;

	/* The first of all takes the seeds, which is a change. */
	if (!life->judgements) {
		judge(life);
		return;
	}
	if (++life->judgements > JUDGEMENTS_MAX)
		return;
	before = all_problems(life->set);
	count = config_set_instance_count(life->set);
	config_set_try(life->set, &change, &problems, NULL, NULL);
	config_change_clear(&change);
	mem_strv_free(problems);
	after = all_problems(life->set);
	require(strcmp(before, after) == 0);
	require(count == config_set_instance_count(life->set));
	check_state(life->set);
}

static void end_text(struct life *life)
{
	const char *text = life->text.data ? life->text.data : "";

	if (life->command == '@')
		config_set_stage(life->set, life->name, text, life->text.len);
	else if (life->command == '+' && !life->judgements)
		config_set_seed(life->set, life->name, text, life->text.len);
	life->command = 0;
	text_free(&life->text);
}

static void take_name(struct life *life, const char *line, size_t len)
{
	len = len < sizeof(life->name) - 1 ? len : sizeof(life->name) - 1;
	memcpy(life->name, line, len);
	life->name[len] = '\0';
	for (char *at = life->name; *at; at++)
		if (*at == '/' || *at < ' ')
			*at = '_';
	if (strcmp(life->name, "main") == 0)
		memcpy(life->name, CONFIG_MAIN, sizeof(CONFIG_MAIN));
}

static void take_line(struct life *life, const char *line, size_t len)
{
	if (!len || !strchr("@+-!?", *line)) {
		text_add(&life->text, line, len);
		text_puts(&life->text, "\n");
		return;
	}
	end_text(life);
	if (*line == '!') {
		judge(life);
		return;
	}
	if (*line == '?') {
		try(life);
		return;
	}
	take_name(life, line + 1, len - 1);
	if (*line == '-')
		config_set_stage(life->set, life->name, NULL, 0);
	else
		life->command = *line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct life life = { .set = config_set_new(&place) };
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);
		take_line(&life, at, len);
		at += len + 1;
	}
	end_text(&life);
	judge(&life);
	config_set_free(life.set);
	return 0;
}

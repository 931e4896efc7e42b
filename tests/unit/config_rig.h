/*
 * What the tests of a set of files share: one set, stage and judge in a word, and what came of it
 * as strings.
 */
#ifndef TEN_TEST_CONFIG_RIG_H
#define TEN_TEST_CONFIG_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_set.h"
#include "mem.h"

#define UNUSED_HERE __attribute__((unused))

static struct config_set *set;
static struct config_change change;

static UNUSED_HERE void setup(void)
{
	const struct config_place place = {
		.main_path = "/srv/tenement.toml", .conf_dir = "/srv/conf.d", .root = true
	};

	set = config_set_new(&place);
}

static UNUSED_HERE void teardown(void)
{
	config_change_clear(&change);
	config_set_free(set);
	set = NULL;
}

static UNUSED_HERE void stage(const char *name, const char *text)
{
	config_set_stage(set, name, text, text ? strlen(text) : 0);
}

static UNUSED_HERE void seed(const char *name, const char *text)
{
	config_set_seed(set, name, text, strlen(text));
}

static UNUSED_HERE void judge(void)
{
	config_change_clear(&change);
	config_set_judge(set, &change);
}

/* A list as "a b c". */
static UNUSED_HERE const char *joined(char *const *list)
{
	static char lines[4][4096];
	static unsigned turn;
	char *line = lines[turn++ % 4];
	size_t len = 0;

	line[0] = '\0';
	for (size_t i = 0; list && list[i] && len < 4000; i++)
		len += (size_t)snprintf(
			line + len, sizeof(lines[0]) - len, "%s%s", i ? " " : "", list[i]);
	return line;
}

#define ck_list(list, expected) ck_assert_str_eq(joined(list), expected)

/* All problems, "file:line:column: message" each on a line. */
static UNUSED_HERE const char *problems(void)
{
	static char all[65536];
	const struct config_problem *list;
	size_t count = config_set_problems(set, &list), len = 0;

	all[0] = '\0';
	for (size_t i = 0; i < count && len < sizeof(all); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s:%d:%d: %s\n",
			list[i].file, list[i].line, list[i].column, list[i].message);
	return all;
}

static UNUSED_HERE const char *state_of(const char *key)
{
	const struct ten_spec *spec = config_set_instance(set, key);

	return spec ? spec->file : "";
}

#define NOTES  "[service.notes]\ncommand = 'run'\n"
#define CLAIMS NOTES "[service.notes.env]\nDATA_DIR = '{data_dir}/{id}'\n"
#define ALICE  "[tenant]\nservice = 'notes'\nid = 'alice'\n"
#define BOB    "[tenant]\nservice = 'notes'\nid = 'bob'\n"

#endif

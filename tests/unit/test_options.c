#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "option_value.h"
#include "options_doc.h"

START_TEST(find)
{
	ck_assert_ptr_nonnull(option_find(OPTION_SETTING, "data_dir"));
	ck_assert_ptr_null(option_find(OPTION_SERVICE, "data_dir"));
	ck_assert_ptr_nonnull(option_find(OPTION_LISTENER, "address"));
	/* A tenant has all of a service's, and some of its own. */
	ck_assert_ptr_eq(
		option_find(OPTION_TENANT, "command"), option_find(OPTION_SERVICE, "command"));
	ck_assert_ptr_nonnull(option_find(OPTION_TENANT, "domains"));
	ck_assert_ptr_null(option_find(OPTION_SERVICE, "domains"));
}
END_TEST

START_TEST(suggestions)
{
	ck_assert_str_eq(option_suggest(OPTION_TENANT, "memmory_limit_mb"), "memory_limit_mb");
	ck_assert_str_eq(option_suggest(OPTION_TENANT, "domians"), "domains");
	ck_assert_str_eq(option_suggest(OPTION_SETTING, "worker"), "workers");
	ck_assert_ptr_null(option_suggest(OPTION_SERVICE, "domians"));
	ck_assert_ptr_null(option_suggest(OPTION_SERVICE, "zzzzzzzz"));
}
END_TEST

START_TEST(choices)
{
	const struct option *isolation = option_find(OPTION_SERVICE, "isolation");
	char name[32];

	ck_assert_str_eq(
		option_choice(isolation, ISOLATION_PROCESS, name, sizeof(name)), "process");
	ck_assert_str_eq(
		option_choice(isolation, ISOLATION_NAMESPACE, name, sizeof(name)), "namespace");
	ck_assert_str_eq(
		option_choice(isolation, ISOLATION_SANDBOX, name, sizeof(name)), "sandbox");
	ck_assert_str_eq(option_choice(isolation, 9, name, sizeof(name)), "");
}
END_TEST

START_TEST(defaults)
{
	struct service_values service, copy;
	struct setting_values settings = { 0 };
	struct tenant_values tenant;

	options_set_defaults(OPTION_SERVICE, &service);
	ck_assert_ptr_null(service.command);
	ck_assert_ptr_nonnull(service.args);
	ck_assert_ptr_null(service.args[0]);
	ck_assert_str_eq(service.workdir, ".");
	ck_assert_int_eq(service.ready, READY_LISTEN);
	ck_assert_int_eq(service.restart, RESTART_ON_FAILURE);
	ck_assert_int_eq(service.isolation, ISOLATION_NAMESPACE);
	ck_assert_int_eq(service.idle_timeout, 300);
	ck_assert(service.storage_persist);
	ck_assert(!service.balance);
	ck_assert_str_eq(service.user, "dynamic");
	ck_assert_uint_eq(service.env.count, 0);
	options_copy(OPTION_SERVICE, &copy, &service);
	ck_assert_str_eq(copy.user, "dynamic");
	ck_assert_ptr_ne(copy.user, service.user);
	for (size_t i = 0; i < option_count; i++)
		if (options[i].scope == OPTION_SERVICE)
			ck_assert_uint_eq(option_hash(&options[i], &copy, 7),
				option_hash(&options[i], &service, 7));
	options_clear(OPTION_SERVICE, &copy);
	options_clear(OPTION_SERVICE, &service);
	ck_assert_ptr_null(service.user);

	options_set_defaults(OPTION_SETTING, &settings);
	ck_assert_str_eq(settings.domain, "localhost");
	ck_assert_str_eq(settings.listen[0], "127.0.0.1:8080");
	ck_assert_str_eq(settings.uid_range, "1900000000-1900065535");
	options_clear(OPTION_SETTING, &settings);

	options_set_defaults(OPTION_TENANT, &tenant);
	ck_assert_int_eq(tenant.state, TENANT_ON_DEMAND);
	options_clear(OPTION_TENANT, &tenant);
}
END_TEST

/* What is read of one value, and what is said of a wrong one. */
static const struct {
	enum option_scope scope;
	const char *name;
	const char *written;
	const char *spelled; /* as option_spell() has it; NULL: refused with */
	const char *message;
} values[] = {
	{ OPTION_SERVICE, "idle_timeout", "300", "300", NULL },
	{ OPTION_SERVICE, "idle_timeout", "\"5m\"", NULL,
		"idle_timeout wants a whole number of seconds from 0 to 31536000, not a string "
		"(\"5m\")" },
	{ OPTION_SERVICE, "idle_timeout", "1.5", NULL,
		"idle_timeout wants a whole number of seconds from 0 to 31536000, not a fraction "
		"(1.5)" },
	{ OPTION_SERVICE, "idle_timeout", "-1", NULL,
		"idle_timeout wants a whole number of seconds from 0 to 31536000, not -1" },
	{ OPTION_SETTING, "backoff_base_ms", "0", NULL,
		"backoff_base_ms wants a whole number of milliseconds from 1 to 3600000, not 0" },
	{ OPTION_SETTING, "max_header_kb", "65", NULL,
		"max_header_kb wants a whole number of KiB from 1 to 64, not 65" },
	{ OPTION_SERVICE, "max_body_mb", "true", NULL,
		"max_body_mb wants a whole number of MiB from 0 to 1048576, not a boolean (true)" },
	{ OPTION_SERVICE, "rate_limit", "1000000", "1000000", NULL },
	{ OPTION_SERVICE, "rate_limit", "0.5", NULL,
		"rate_limit wants a whole number from 0 to 1000000, not a fraction (0.5)" },
	{ OPTION_SERVICE, "max_concurrent", "-1", NULL,
		"max_concurrent wants a whole number from 0 to 1000000, not -1" },
	{ OPTION_SERVICE, "queue_timeout", "0", NULL,
		"queue_timeout wants a whole number of seconds from 1 to 3600, not 0" },
	{ OPTION_SETTING, "max_connections_per_ip", "5", "5", NULL },
	{ OPTION_SETTING, "max_wakes_per_minute_per_ip", "10000", "10000", NULL },
	{ OPTION_SERVICE, "max_wakes_per_minute", "10001", NULL,
		"max_wakes_per_minute wants a whole number from 0 to 10000, not 10001" },
	{ OPTION_SERVICE, "no_wake", "'/favicon.ico'", NULL,
		"no_wake wants an array of strings, not a string (\"/favicon.ico\")" },
	{ OPTION_SERVICE, "no_wake", "[1]", NULL,
		"no_wake[0] wants a string, not a whole number (1)" },
	{ OPTION_SETTING, "max_running", "200", "200", NULL },
	{ OPTION_SETTING, "memory_pressure_percent", "101", NULL,
		"memory_pressure_percent wants a whole number from 0 to 100, not 101" },
	{ OPTION_SERVICE, "priority", "-100", "-100", NULL },
	{ OPTION_SERVICE, "priority", "101", NULL,
		"priority wants a whole number from -100 to 100, not 101" },
	{ OPTION_SERVICE, "weight", "10001", NULL,
		"weight wants a whole number from 0 to 10000, not 10001" },
	{ OPTION_SERVICE, "balance", "true", "true", NULL },
	{ OPTION_SERVICE, "balance", "\"yes\"", NULL,
		"balance wants true or false, not a string (\"yes\")" },
	{ OPTION_SERVICE, "awake", "'daily 08:00-18:00'", "[\"daily 08:00-18:00\"]", NULL },
	{ OPTION_SERVICE, "awake", "['a', 'b']", "[\"a\", \"b\"]", NULL },
	{ OPTION_SERVICE, "wake_at", "[]", "[]", NULL },
	{ OPTION_SERVICE, "wake_at", "3", NULL,
		"wake_at wants a string or an array of strings, not a whole number (3)" },
	{ OPTION_SERVICE, "wake_at", "['a', 3]", NULL,
		"wake_at[1] wants a string, not a whole number (3)" },
	{ OPTION_SERVICE, "awake",
		"['1','','','','','','','','','10','','','','','','','','','','20','','','','','','"
		"','','','','30','','','33']",
		NULL, "awake wants at most 32 strings, not 33" },
	{ OPTION_SERVICE, "sleep", "[]", "[]", NULL },
	{ OPTION_SERVICE, "sleep",
		"[{ after = 60, to = 'frozen' }, { to = 'stopped', after = 900 }]",
		"[{ after = 60, to = \"frozen\" }, { after = 900, to = \"stopped\" }]", NULL },
	{ OPTION_SERVICE, "sleep", "[{ after = 1, to = 'stopped' }]",
		"[{ after = 1, to = \"stopped\" }]", NULL },
	{ OPTION_SERVICE, "sleep", "[{ after = 31536000, to = 'frozen' }]",
		"[{ after = 31536000, to = \"frozen\" }]", NULL },
	{ OPTION_SERVICE, "sleep", "60", NULL,
		"sleep wants rows like [{ after = 60, to = \"frozen\" }], not a whole number" },
	{ OPTION_SERVICE, "sleep", "[60]", NULL,
		"sleep: row 1 wants a table, not a whole number: { after = 60, to = \"frozen\" }" },
	{ OPTION_SERVICE, "sleep", "[{ to = 'frozen' }]", NULL,
		"sleep: row 1 does not say after how many seconds: { after = 60, to = \"frozen\" "
		"}" },
	{ OPTION_SERVICE, "sleep", "[{ after = 60 }]", NULL,
		"sleep: row 1 does not say what to become: { after = 60, to = \"frozen\" }" },
	{ OPTION_SERVICE, "sleep", "[{ after = 60, to = 'asleep' }]", NULL,
		"sleep: to in row 1 wants \"frozen\" or \"stopped\"" },
	{ OPTION_SERVICE, "sleep", "[{ after = 60, to = 5 }]", NULL,
		"sleep: to in row 1 wants \"frozen\" or \"stopped\"" },
	{ OPTION_SERVICE, "sleep", "[{ after = 0, to = 'frozen' }]", NULL,
		"sleep: after in row 1 wants a whole number of seconds from 1 to 31536000" },
	{ OPTION_SERVICE, "sleep", "[{ after = 'x', to = 'frozen' }]", NULL,
		"sleep: after in row 1 wants a whole number of seconds from 1 to 31536000" },
	{ OPTION_SERVICE, "sleep",
		"[{ after = 60, to = 'frozen' }, { after = 60, to = 'stopped' }]", NULL,
		"sleep: the rows come in the order of their times, but 60 in row 2 is not after "
		"60" },
	{ OPTION_SERVICE, "sleep",
		"[{ after = 60, to = 'stopped' }, { after = 90, to = 'frozen' }]", NULL,
		"sleep: nothing comes after \"stopped\", but there is a row 2" },
	{ OPTION_SERVICE, "sleep", "[{ after = 60, to = 'frozen' }, { after = 61, to = 'frozen' }]",
		NULL, "sleep: row 2 says the same as the one before" },
	{ OPTION_SERVICE, "sleep", "[{ after = 60, to = 'frozen', then = 1 }]", NULL,
		"sleep: unknown key \"then\" in row 1: there are after and to" },
	{ OPTION_SERVICE, "ready", "\"health\"", "\"health\"", NULL },
	{ OPTION_SERVICE, "ready", "\"helth\"", NULL,
		"ready wants \"listen\", \"health\" or \"notify\", not \"helth\" (did you mean "
		"\"health\"?)" },
	{ OPTION_SERVICE, "ready", "1979-05-27", NULL,
		"ready wants \"listen\", \"health\" or \"notify\", not a date" },
	{ OPTION_SERVICE, "isolation", "\"process\"", "\"process\"", NULL },
	{ OPTION_SERVICE, "isolation", "\"namespace\"", "\"namespace\"", NULL },
	{ OPTION_SERVICE, "memory_limit_mb", "256", "256", NULL },
	{ OPTION_SERVICE, "storage_persist", "true", "true", NULL },
	{ OPTION_SERVICE, "storage_persist", "false", NULL,
		"storage_persist = false cannot be given by this build: it can give true; "
		"remove the key to take the default" },
	{ OPTION_SERVICE, "socket_activation", "true", "true", NULL },
	{ OPTION_SERVICE, "suspended_status", "402", "402", NULL },
	{ OPTION_SERVICE, "suspended_status", "404", NULL,
		"suspended_status = 404 cannot be given by this build: it can give 402 or 503; "
		"remove the key to take the default" },
	{ OPTION_SERVICE, "command", "\"a \\\"b\\\"\"", "\"a \\\"b\\\"\"", NULL },
	{ OPTION_SERVICE, "command", "[\"a\"]", NULL, "command wants a string, not an array" },
	{ OPTION_SERVICE, "command", "\"a\\u0000b\"", NULL, "command holds a NUL character" },
	{ OPTION_SERVICE, "cpu_limit", "0.5", "0.5", NULL },
	{ OPTION_SERVICE, "cpu_limit", "2", "2", NULL },
	{ OPTION_SERVICE, "cpu_limit", "1.25", "1.25", NULL },
	{ OPTION_SERVICE, "cpu_limit", "0.07", "0.07", NULL },
	{ OPTION_SERVICE, "cpu_limit", "0.0", "0", NULL },
	{ OPTION_SERVICE, "cpu_limit", "1024", "1024", NULL },
	{ OPTION_SERVICE, "cpu_limit", "0.005", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not 0.005" },
	{ OPTION_SERVICE, "cpu_limit", "-1", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not -1" },
	{ OPTION_SERVICE, "cpu_limit", "1024.01", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not 1024.01" },
	{ OPTION_SERVICE, "cpu_limit", "nan", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not nan" },
	{ OPTION_SERVICE, "cpu_limit", "inf", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not inf" },
	{ OPTION_SERVICE, "cpu_limit", "1e300", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not 1e+300" },
	{ OPTION_SERVICE, "cpu_limit", "\"half\"", NULL,
		"cpu_limit wants a number from 0 to 1024 in steps of 0.01, not a string "
		"(\"half\")" },
	{ OPTION_SERVICE, "swap_limit_mb", "-1", "-1", NULL },
	{ OPTION_SERVICE, "workdir", "5", NULL,
		"workdir wants a path (a string), not a whole number (5)" },
	{ OPTION_SERVICE, "args", "[]", "[]", NULL },
	{ OPTION_SERVICE, "args", "[\"a\", \"b\"]", "[\"a\", \"b\"]", NULL },
	{ OPTION_SERVICE, "args", "\"a\"", NULL,
		"args wants an array of strings, not a string (\"a\")" },
	{ OPTION_SERVICE, "args", "[\"a\", 5]", NULL,
		"args[1] wants a string, not a whole number (5)" },
	{ OPTION_SERVICE, "env", "{ b = \"x\", a = 5, f = 1.0, t = true, g = 2.5 }",
		"{ \"a\" = \"5\", \"b\" = \"x\", \"f\" = \"1.0\", \"g\" = \"2.5\", \"t\" = "
		"\"true\" }",
		NULL },
	{ OPTION_SERVICE, "env", "{ a = [] }", NULL, "env.a wants a string, not an array" },
	{ OPTION_SERVICE, "env", "5", NULL,
		"env wants a table of strings, not a whole number (5)" },
	{ OPTION_SERVICE, "mounts", "[]", "[]", NULL },
	{ OPTION_SERVICE, "mounts", "[{ source = '/a', destination = '/b' }]",
		"[{ source = \"/a\", destination = \"/b\", readonly = true }]", NULL },
	{ OPTION_SERVICE, "mounts",
		"[{ readonly = false, source = '/{id}', destination = '/b' }, { source = '/c', "
		"destination = '/d' }]",
		"[{ source = \"/{id}\", destination = \"/b\", readonly = false }, { source = "
		"\"/c\", "
		"destination = \"/d\", readonly = true }]",
		NULL },
	{ OPTION_SERVICE, "mounts", "[{}]", NULL,
		"mounts: table 1 has no source: source = \"/srv/media\", destination = "
		"\"/media\"" },
	{ OPTION_SERVICE, "mounts", "[{ source = '/a' }]", NULL,
		"mounts: table 1 has no destination: source = \"/srv/media\", destination = "
		"\"/media\"" },
	{ OPTION_SERVICE, "mounts", "[{ source = '/a', destination = 5 }]", NULL,
		"mounts: destination in table 1 wants a path" },
	{ OPTION_SERVICE, "mounts", "[{ source = '', destination = '/b' }]", NULL,
		"mounts: source in table 1 wants a path" },
	{ OPTION_SERVICE, "mounts", "[{ source = '/a', destination = '/b', read_only = true }]",
		NULL,
		"mounts: unknown key \"read_only\" in table 1: there are source, destination and "
		"readonly" },
	{ OPTION_SERVICE, "mounts", "[{ source = '/a', destination = '/b', readonly = 1 }]", NULL,
		"mounts: readonly in table 1 wants true or false" },
	{ OPTION_TENANT, "state", "\"runing\"", NULL,
		"state wants \"on-demand\", \"running\", \"stopped\" or \"suspended\", not "
		"\"runing\" (did you mean \"running\"?)" },
};

START_TEST(read)
{
	const struct option *option = option_find(values[_i].scope, values[_i].name);
	autofree char *text = mem_printf("v = %s", values[_i].written);
	autofree char *spelled = NULL;
	union option_value value = { 0 };
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, strlen(text), &fault);
	const struct toml_node *node;
	struct ten_error err = { 0 };
	union {
		struct service_values service;
		struct setting_values settings;
		struct tenant_values tenant;
	} all = { 0 };

	ck_assert_msg(document != NULL, "%s", fault.message);
	node = &toml_find(toml_root(document), "v")->value;
	if (option_value_read(option, node, &value, &err) == 0 &&
		option_value_check_given(option, &value, &err) == 0) {
		option_value_store(option, &value, &all);
		spelled = option_spell(option, &all);
		options_clear(option->scope, &all);
	}
	ck_assert_pstr_eq(spelled, values[_i].spelled);
	if (!spelled)
		ck_assert_str_eq(err.text, values[_i].message);
	option_value_clear(option, &value);
	toml_free(document);
}
END_TEST

START_TEST(maps)
{
	struct option_map map = { 0 };
	const struct option *env = option_find(OPTION_SERVICE, "env");
	struct service_values service = { 0 };

	option_map_set(&service.env, "b", "2");
	option_map_set(&service.env, "c", "3");
	option_map_set(&service.env, "a", "1");
	option_map_set(&service.env, "b", "two");
	map = service.env;
	ck_assert_uint_eq(map.count, 3);
	ck_assert_str_eq(option_map_get(&map, "a"), "1");
	ck_assert_str_eq(option_map_get(&map, "b"), "two");
	ck_assert_str_eq(option_map_get(&map, "c"), "3");
	ck_assert_ptr_null(option_map_get(&map, "d"));
	ck_assert_ptr_null(option_map_get(&map, ""));
	ck_assert_uint_ne(option_hash(env, &service, 1), option_hash(env, &service, 2));
	options_clear(OPTION_SERVICE, &service);
}
END_TEST

/* Every row says something of itself, in both formats, and has a default of its own type (which
 * options_set_defaults() asserts). */
START_TEST(documented)
{
	struct text man = { 0 }, markdown = { 0 };

	options_doc_print(&man, OPTIONS_DOC_MAN);
	options_doc_print(&markdown, OPTIONS_DOC_MARKDOWN);
	for (size_t i = 0; i < option_count; i++) {
		autofree char *item = mem_printf(".B %s\n", options[i].name);
		autofree char *row = mem_printf("| `%s` |", options[i].name);
		ck_assert_ptr_nonnull(strstr(man.data, item));
		ck_assert_ptr_nonnull(strstr(markdown.data, row));
		ck_assert_uint_gt(strlen(options[i].prose), 10);
	}
	text_free(&man);
	text_free(&markdown);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("options");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, find);
	tcase_add_test(tests, suggestions);
	tcase_add_test(tests, choices);
	tcase_add_test(tests, defaults);
	tcase_add_loop_test(tests, read, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_test(tests, maps);
	tcase_add_test(tests, documented);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include "config_rig.h"
#include "config_template.h"
#include "text.h"

START_TEST(comes_and_goes)
{
	size_t len;

	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE);
	judge();
	ck_assert_str_eq(problems(), "");
	ck_list(change.accepted, "alice.toml notes.toml");
	ck_list(change.rejected, "");
	ck_list(change.instances, "notes:alice");
	ck_list(change.routes, "notes");
	ck_assert_uint_eq(config_set_instance_count(set), 1);
	ck_assert_uint_eq(config_set_file_tenants(set, "alice.toml"), 1);
	ck_assert_str_eq(config_set_text(set, "alice.toml", &len), ALICE);
	ck_assert_ptr_nonnull(config_set_service(set, "notes"));
	ck_assert_str_eq(config_set_service(set, "notes")->command, "run");

	/* The same again is no change. */
	stage("alice.toml", ALICE);
	judge();
	ck_list(change.accepted, "alice.toml");
	ck_list(change.instances, "");
	ck_list(change.routes, "");

	/* Nor is the same in other words. */
	stage("alice.toml", "# moved\n\n" ALICE "weight = 100\n");
	judge();
	ck_list(change.accepted, "alice.toml");
	ck_list(change.instances, "");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->line, 3);

	stage("alice.toml", NULL);
	judge();
	ck_list(change.accepted, "alice.toml");
	ck_list(change.instances, "notes:alice");
	ck_list(change.routes, "notes");
	ck_assert_uint_eq(config_set_instance_count(set), 0);
	ck_assert_ptr_null(config_set_text(set, "alice.toml", &len));

	stage("alice.toml", NULL);
	stage("never.toml", NULL);
	judge();
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(), "");
}
END_TEST

START_TEST(last_good)
{
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE "idle_timeout = 7\n");
	judge();
	stage("alice.toml", ALICE "idle_timeout = 8\ndomians = []\n");
	judge();
	ck_list(change.accepted, "");
	ck_list(change.rejected, "alice.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(),
		"conf.d/alice.toml:5:1: unknown key \"domians\" (did you mean \"domains\"?)\n");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.idle_timeout, 7);

	/* Empty and unreadable are wrong, not gone. */
	stage("alice.toml", "");
	judge();
	ck_list(change.rejected, "alice.toml");
	ck_assert_str_eq(problems(), "conf.d/alice.toml:0:0: it is empty\n");
	config_set_stage_unreadable(set, "alice.toml", "Permission denied");
	judge();
	ck_list(change.rejected, "alice.toml");
	ck_assert_str_eq(problems(), "conf.d/alice.toml:0:0: cannot be read: Permission denied\n");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.idle_timeout, 7);

	/* Mended with the text in force. */
	stage("alice.toml", ALICE "idle_timeout = 7\n");
	judge();
	ck_list(change.accepted, "alice.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(), "");
}
END_TEST

START_TEST(all_files_at_once)
{
	stage("notes.toml", NOTES "workdir = 5\nhealth = 'x'\n");
	stage("alice.toml", ALICE "state = 'up'\nweight = -1\n");
	stage("broken.toml", "[tenant\n");
	judge();
	ck_list(change.accepted, "");
	ck_list(change.rejected, "alice.toml broken.toml notes.toml");
	ck_assert_str_eq(problems(),
		"conf.d/alice.toml:4:9: state wants \"on-demand\", \"running\", \"stopped\" or "
		"\"suspended\", not \"up\"\n"
		"conf.d/alice.toml:5:10: weight wants a whole number from 0 to 10000, not -1\n"
		"conf.d/broken.toml:1:8: Error while parsing table header: expected ']', saw "
		"'\\n'\n"
		"conf.d/notes.toml:3:11: workdir wants a path (a string), not a whole number (5)\n"
		"conf.d/notes.toml:4:10: health: a health path begins with \"/\"\n");
}
END_TEST

/* What NAME would have asked for before the last judgement: its command, or "" when unknown. */
static const char *before(const char *key)
{
	static char command[64];
	const struct ten_spec *spec =
		change.templates ? config_template_spec(set, change.templates[0], key) : NULL;

	snprintf(command, sizeof(command), "%s", spec ? spec->values.command : "");
	spec_unref(spec);
	return command;
}

START_TEST(earlier_templates)
{
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE);
	judge();
	ck_assert_ptr_null(change.templates);

	stage("notes.toml", "[service.notes]\ncommand = 'other'\n");
	judge();
	ck_assert_ptr_nonnull(change.templates);
	ck_assert_ptr_null(change.templates[1]);
	ck_assert_str_eq(config_template_service(change.templates[0]), "notes");
	ck_assert_str_eq(config_template_name(change.templates[0]), "notes.toml");
	ck_assert_str_eq(before("notes:alice"), "run");
	ck_assert_str_eq(before("notes:bob"), "");
	ck_assert_str_eq(config_set_instance(set, "notes:alice")->values.command, "other");

	/* Laid over what the tenant says now. */
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE "weight = 7\n");
	judge();
	ck_assert_str_eq(before("notes:alice"), "other");

	/* A refused text is no change, nor is a tenant's. */
	stage("notes.toml", "[service.notes]\n");
	judge();
	ck_assert_ptr_null(change.templates);
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE);
	judge();
	ck_assert_ptr_null(change.templates);

	/* In another file. */
	stage("notes.toml", NULL);
	stage("all.toml", "[service.notes]\ncommand = 'third'\n[service.web]\ncommand = 'w'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	ck_assert_str_eq(before("notes:alice"), "run");
	ck_assert_ptr_null(change.templates[1]);
}
END_TEST

START_TEST(templates_of_wrong_texts)
{
	static const char *const wrong[] = { "", "[service", "[service.other]\ncommand = 'x'\n",
		"[service.notes]\n", "[service.notes]\ncommand = 5\n" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_ptr_null(config_template_new(
			set, "notes", "notes.toml", wrong[i], strlen(wrong[i])));
	/* One that does not go together with what a tenant says. */
	stage("notes.toml", NOTES "health = '/up'\n");
	stage("alice.toml", ALICE "ready = 'health'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	stage("notes.toml", NOTES "health = '/ok'\n");
	judge();
	ck_assert_str_eq(before("notes:alice"), "run");
	stage("alice.toml", NULL);
	judge();
	stage("notes.toml", NOTES);
	judge();
	stage("notes.toml", NOTES "health = '/ok'\n");
	stage("alice.toml", ALICE "ready = 'health'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	ck_assert_ptr_nonnull(change.templates);
	ck_assert_str_eq(before("notes:alice"), "");
}
END_TEST

START_TEST(swap_and_rename)
{
	stage("notes.toml", NOTES);
	stage("a.toml", ALICE "weight = 1\n");
	stage("b.toml", BOB "weight = 2\n");
	judge();
	stage("a.toml", BOB "weight = 1\n");
	stage("b.toml", ALICE "weight = 2\n");
	judge();
	ck_list(change.accepted, "a.toml b.toml");
	ck_list(change.instances, "notes:alice notes:bob");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.weight, 2);
	ck_assert_str_eq(problems(), "");

	/* A file under a new name is no change of the tenant. */
	stage("a.toml", NULL);
	stage("c.toml", BOB "weight = 1\n");
	judge();
	ck_list(change.accepted, "a.toml c.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(state_of("notes:bob"), "c.toml");

	/* One half of a swap that fails takes the other with it: alice stays b's. */
	stage("b.toml", BOB);
	stage("c.toml", ALICE "nonsense = 1\n");
	judge();
	ck_list(change.rejected, "b.toml c.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(),
		"conf.d/b.toml:1:2: tenant \"notes:bob\" is declared by conf.d/c.toml:1 too, which "
		"had it first\n"
		"conf.d/c.toml:4:1: unknown key \"nonsense\" in [tenant]\n");
}
END_TEST

START_TEST(template_changes)
{
	stage("notes.toml", NOTES "idle_timeout = 1\n");
	stage("a.toml", ALICE);
	stage("b.toml", BOB "idle_timeout = 9\n");
	judge();
	stage("notes.toml", NOTES "idle_timeout = 2\n");
	judge();
	ck_list(change.instances, "notes:alice");
	ck_list(change.routes, "");
	stage("notes.toml", NOTES "idle_timeout = 2\nbalance = true\n");
	judge();
	ck_list(change.instances, "notes:alice notes:bob");
	ck_list(change.routes, "notes");
	stage("b.toml", BOB "idle_timeout = 9\nweight = 5\n");
	judge();
	ck_list(change.routes, "notes");
}
END_TEST

START_TEST(seeds)
{
	/* An earlier life's texts hold, though the files are wrong now. */
	seed("notes.toml", NOTES);
	seed("a.toml", ALICE "weight = 7\n");
	seed("stale.toml", "[tenant]\nservice = 'gone'\n");
	seed("b.toml", BOB);
	stage("notes.toml", NOTES);
	stage("a.toml", ALICE "wight = 8\n");
	judge();
	ck_list(change.accepted, "notes.toml");
	ck_list(change.rejected, "a.toml");
	ck_list(change.instances, "notes:alice notes:bob");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.weight, 7);
	ck_assert_str_eq(problems(),
		"conf.d/a.toml:4:1: unknown key \"wight\" (did you mean \"weight\"?)\n");
	stage("b.toml", NULL);
	judge();
	ck_list(change.instances, "notes:bob");
}
END_TEST

static void note_wanted(void *data, const char *key, const struct ten_spec *spec)
{
	text_printf(data, "%s=%d ", key, spec ? (int)spec->values.weight : -1);
}

START_TEST(trying)
{
	struct text wanted = { 0 };
	char **texts = NULL;

	seed("notes.toml", NOTES);
	seed("a.toml", ALICE);
	seed("b.toml", BOB);
	stage("a.toml", ALICE "weight = 5\n");
	stage("b.toml", NULL);
	stage("c.toml", "[tenant]\nservice = 'notes'\n");
	stage("d.toml", "[tenant]\nservice = 'nots'\n");
	stage(CONFIG_MAIN, "[settings]\ndomain = 'x.org'\n");
	config_set_try(set, &change, &texts, note_wanted, &wanted);
	ck_assert(change.settings);
	ck_list(change.accepted, CONFIG_MAIN " a.toml b.toml c.toml");
	ck_list(change.rejected, "d.toml");
	ck_list(change.instances, "notes:alice notes:bob notes:c");
	ck_assert_str_eq(wanted.data, "notes:alice=5 notes:bob=-1 notes:c=100 ");
	ck_assert_str_eq(texts[0], "conf.d/d.toml:2:11: service \"nots\" is not declared (did you "
				   "mean \"notes\"?)\n  2 | service = 'nots'\n    |           ^\n");
	ck_assert_ptr_null(texts[1]);
	mem_strv_free(texts);
	text_free(&wanted);

	/* Nothing of it is there. */
	ck_assert_str_eq(problems(), "");
	ck_assert_str_eq(config_set_settings(set)->domain, "localhost");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.weight, 100);
	ck_assert_ptr_null(config_set_instance(set, "notes:c"));
	judge();
	ck_list(change.accepted, "");
	ck_list(change.instances, "notes:alice notes:bob");
	judge();
	ck_list(change.instances, "");
}
END_TEST

/* A try leaves what waits and what is wrong as it was. */
START_TEST(trying_beside_what_waits)
{
	static const char waiting[] = "conf.d/a.toml:2:11: service \"notes\" is not declared\n";
	char **texts = NULL;

	stage("a.toml", ALICE);
	judge();
	ck_assert_str_eq(problems(), waiting);
	stage("a.toml", BOB);
	stage("notes.toml", NOTES);
	config_change_clear(&change);
	config_set_try(set, &change, &texts, NULL, NULL);
	ck_list(change.accepted, "a.toml notes.toml");
	ck_assert_ptr_null(texts);
	ck_assert_str_eq(problems(), waiting);
	ck_assert_uint_eq(config_set_instance_count(set), 0);
	stage("notes.toml", NOTES);
	judge();
	ck_list(change.instances, "notes:alice");
}
END_TEST

START_TEST(specs_outlive)
{
	const struct ten_spec *spec;

	stage("notes.toml", NOTES);
	stage("a.toml", ALICE);
	judge();
	spec = spec_ref(config_set_instance(set, "notes:alice"));
	stage("a.toml", NULL);
	judge();
	ck_assert_str_eq(spec->id, "alice");
	spec_unref(spec);
	spec_unref(NULL);
}
END_TEST

static void count_one(void *data, const struct ten_spec *spec)
{
	(void)spec;
	++*(size_t *)data;
}

static void count_file(void *data, const char *name, bool good)
{
	(void)name;
	*(size_t *)data += good ? 1 : 1000;
}

static void count_service(void *data, const char *name)
{
	(void)name;
	++*(size_t *)data;
}

START_TEST(visits)
{
	size_t all = 0, of = 0, none = 0, files = 0, services = 0;

	stage("notes.toml", NOTES "[service.other]\ncommand = 'o'\n");
	stage("a.toml", ALICE);
	stage("b.toml", BOB);
	stage("c.toml", "[tenant]\nservice = 'other'\n");
	stage("wrong.toml", "[tenant]\n");
	judge();
	config_set_each_instance(set, count_one, &all);
	config_set_each_instance_of(set, "notes", count_one, &of);
	config_set_each_instance_of(set, "none", count_one, &none);
	config_set_each_file(set, count_file, &files);
	config_set_each_service(set, count_service, &services);
	ck_assert_uint_eq(all, 3);
	ck_assert_uint_eq(of, 2);
	ck_assert_uint_eq(none, 0);
	ck_assert_uint_eq(files, 1004);
	ck_assert_uint_eq(services, 2);
}
END_TEST

/* One changed file of many touches that one tenant alone. */
START_TEST(many)
{
	enum { MANY = 10000 };
	char name[32], text[128];

	stage("notes.toml", CLAIMS);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "notes-t%d.toml", i);
		snprintf(text, sizeof(text), "[tenant]\nservice = 'notes'\ndomains = ['t%d.org']\n",
			i);
		stage(name, text);
	}
	judge();
	ck_assert_uint_eq(config_set_instance_count(set), MANY);
	ck_assert_uint_eq(mem_strv_length(change.accepted), MANY + 1);
	ck_assert_str_eq(problems(), "");
	config_set_work_reset(set);
	stage("notes-t77.toml", "[tenant]\nservice = 'notes'\nweight = 1\n");
	judge();
	ck_list(change.accepted, "notes-t77.toml");
	ck_list(change.instances, "notes:t77");
	ck_assert_uint_eq(config_set_work(set).parsed, 1);
	ck_assert_uint_eq(config_set_work(set).merged, 1);
}
END_TEST

/* What is in force, also from an earlier life, is not parsed again to find out that it is. */
START_TEST(same_text_is_not_parsed)
{
	seed("notes.toml", NOTES);
	seed("alice.toml", ALICE);
	seed("bob.toml", BOB);
	ck_assert_uint_eq(config_set_work(set).parsed, 3);
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE);
	stage("bob.toml", BOB "weight = 3\n");
	ck_assert_uint_eq(config_set_work(set).parsed, 4);
	judge();
	ck_list(change.accepted, "alice.toml bob.toml notes.toml");
	ck_list(change.unchanged, "alice.toml notes.toml");
	ck_list(change.instances, "notes:alice notes:bob");
	ck_assert_int_eq(config_set_instance(set, "notes:bob")->values.weight, 3);

	/* What was staged is what counts, whatever was accepted before that. */
	stage("bob.toml", BOB "weight = 3\n");
	seed("bob.toml", BOB "weight = 9\n");
	judge();
	ck_list(change.unchanged, "bob.toml");
	ck_assert_int_eq(config_set_instance(set, "notes:bob")->values.weight, 3);

	/* What went and never held is no text in force. */
	stage("never.toml", NULL);
	judge();
	ck_list(change.accepted, "never.toml");
	ck_list(change.unchanged, "");

	/* The last word counts, and a wrong one is taken back by the text in force. */
	config_set_work_reset(set);
	stage("alice.toml", "[tenant");
	judge();
	ck_list(change.rejected, "alice.toml");
	stage("alice.toml", NULL);
	stage("alice.toml", ALICE);
	judge();
	ck_list(change.unchanged, "alice.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(), "");
	stage("alice.toml", ALICE);
	stage("alice.toml", NULL);
	judge();
	ck_list(change.unchanged, "");
	ck_list(change.instances, "notes:alice");
	ck_assert_uint_eq(config_set_work(set).parsed, 1);
}
END_TEST

/* Tenants that leave all to their service have one copy of what it says, for as long as any of
 * them has it. */
START_TEST(values_are_shared)
{
	const struct ten_spec *alice, *bob;

	stage("notes.toml", NOTES "health = '/up'\n");
	stage("alice.toml", ALICE);
	stage("bob.toml", BOB "domains = ['bob.org']\n");
	stage("carl.toml", "[tenant]\nservice = 'notes'\nweight = 7\n");
	judge();
	alice = config_set_instance(set, "notes:alice");
	bob = config_set_instance(set, "notes:bob");
	ck_assert_ptr_eq(alice->values.command, bob->values.command);
	ck_assert_ptr_eq(alice->argv, bob->argv);
	ck_assert_ptr_ne(alice->argv, config_set_instance(set, "notes:carl")->argv);
	ck_assert_int_eq(config_set_instance(set, "notes:carl")->values.weight, 7);
	ck_assert_uint_eq(alice->restart_hash == bob->restart_hash, 0); /* their folders are two */

	spec_ref(alice);
	stage("notes.toml", NOTES "health = '/well'\n");
	judge();
	ck_assert_str_eq(alice->values.health, "/up");
	ck_assert_str_eq(alice->argv[0], "run");
	ck_assert_str_eq(config_set_instance(set, "notes:alice")->values.health, "/well");
	stage("notes.toml", NULL);
	stage("alice.toml", NULL);
	stage("bob.toml", NULL);
	stage("carl.toml", NULL);
	judge();
	ck_assert_str_eq(alice->values.command, "run");
	spec_unref(alice);
}
END_TEST

START_TEST(overrides)
{
	const struct config_place place = { .main_path = "/srv/tenement.toml",
		.conf_dir = "/etc/other",
		.data_dir_override = "/var/d",
		.domain_override = "over.org",
		.conf_dir_override = "/etc/other",
		.port_override = 99,
		.xdg_runtime_dir = "/run/user/5" };
	const struct setting_values *settings;

	teardown();
	set = config_set_new(&place);
	stage(CONFIG_MAIN, "[settings]\ndata_dir = 'x'\ndomain = 'y.org'\nlisten = ['[::1]:80', "
			   "'127.0.0.1:81']\n");
	stage("w.toml", "[tenant]\n");
	judge();
	settings = config_set_settings(set);
	ck_assert_str_eq(settings->data_dir, "/var/d");
	ck_assert_str_eq(settings->domain, "over.org");
	ck_assert_str_eq(settings->conf_dir, "/etc/other");
	ck_assert_str_eq(settings->listeners[0].address, "[::1]:99");
	ck_assert_str_eq(settings->listeners[1].address, "127.0.0.1:81");
	ck_list(settings->listen, "[::1]:99 127.0.0.1:81");
	ck_assert_uint_eq(settings->listener_count, 2);
	ck_assert_int_eq(strncmp(settings->runtime_dir, "/run/user/5/tenement/d-", 23), 0);
	ck_assert_int_eq(strncmp(problems(), "other/w.toml:1:2: ", 18), 0);
}
END_TEST

static const char *const with_secrets[] = {
	"[tenant.env]\nA = \"SECRET\\q\"\n",
	"[tenant]\nenv = { A = \"SECRET\\q\" }\n",
	"[tenant]\nenv.A = \"SECRET\\q\"\n",
	"tenant = { service = \"x\", env = { A = \"SECRET\\q\" } }\n",
	"tenant = { service = \"x\", env.A = \"SECRET\\q\" }\n",
	"[tenant]\nservice = \"x\"\nenv = { A = \"x\", B = \"\"\"\nx\nSECRET\\q\n\"\"\" }\n",
	"[tenant]\nenv = { A = \"\"\"\n[x]\nSECRET==\\q\n\"\"\" }\n",
	"tenant = { credentials = { A = '''\nSECRET\001\n''' } }\n",
};

START_TEST(secrets_of_wrong_files)
{
	const struct config_problem *list;
	autofree char *text = NULL;

	stage("t.toml", with_secrets[_i]);
	judge();
	ck_assert_uint_ge(config_set_problems(set, &list), 1);
	text = config_problem_text(&list[0]);
	ck_assert_ptr_nonnull(list[0].excerpt);
	ck_assert_msg(!strstr(text, "SECRET"), "%s", text);
}
END_TEST

/* Where none is, all is shown. */
START_TEST(excerpts_of_wrong_files)
{
	const struct config_problem *list;

	stage("t.toml", "[service.a]\ncommand = \"env A=\\q ./x\"\n");
	judge();
	ck_assert_uint_ge(config_set_problems(set, &list), 1);
	ck_assert_str_eq(list[0].excerpt, "command = \"env A=\\q ./x\"");
	stage("t.toml", "[service.a]\ncommand = \"x\"\nenv = { A = \"\"\"x\"\"\" }\nmemmory = 5\n");
	judge();
	ck_assert_uint_ge(config_set_problems(set, &list), 1);
	ck_assert_str_eq(list[0].excerpt, "memmory = 5");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_set");
	TCase *tests = tcase_create("config_set");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, comes_and_goes);
	tcase_add_test(tests, last_good);
	tcase_add_test(tests, all_files_at_once);
	tcase_add_test(tests, earlier_templates);
	tcase_add_test(tests, templates_of_wrong_texts);
	tcase_add_test(tests, swap_and_rename);
	tcase_add_test(tests, template_changes);
	tcase_add_test(tests, seeds);
	tcase_add_test(tests, trying);
	tcase_add_test(tests, trying_beside_what_waits);
	tcase_add_test(tests, specs_outlive);
	tcase_add_test(tests, visits);
	tcase_add_test(tests, many);
	tcase_add_test(tests, same_text_is_not_parsed);
	tcase_add_test(tests, values_are_shared);
	tcase_add_test(tests, overrides);
	tcase_add_loop_test(tests, secrets_of_wrong_files, 0,
		(int)(sizeof(with_secrets) / sizeof(*with_secrets)));
	tcase_add_test(tests, excerpts_of_wrong_files);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

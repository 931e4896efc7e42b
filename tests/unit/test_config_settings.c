/* The main file: its settings are for all, and have to fit what is in force. */
#include "config_rig.h"

/* A main file that does not fit the others from the first: its settings hold, and the right part
 * of its routing. */
START_TEST(first_settings_hold)
{
	char **texts = NULL;
	const char *main = "[settings]\nmax_delete_percent = 7\ndata_dir = '/data'\n"
			   "[routing]\ndefault = 'notes'\nsubdomain = { x = 'api', y = 'notes' }\n"
			   "[routing.path]\n'/a' = 'api'\n'/n' = 'notes'\n";

	stage(CONFIG_MAIN, main);
	stage("notes.toml", NOTES "rate_limt = 5\n");
	stage("api.toml", "[service.api]\ncommand = 'api'\n[tenant]\nservice = 'api'\nid = 'a'\n");
	judge();
	ck_list(change.accepted, "api.toml");
	ck_list(change.rejected, CONFIG_MAIN " notes.toml");
	ck_list(change.instances, "api:a");
	ck_assert(change.settings);
	ck_assert_ptr_nonnull(strstr(problems(), "unknown key \"rate_limt\""));
	ck_assert_ptr_nonnull(
		strstr(problems(), "/srv/tenement.toml:5:11: service \"notes\" is not declared"));
	ck_assert_int_eq(config_set_settings(set)->max_delete_percent, 7);
	ck_assert_str_eq(config_set_settings(set)->data_dir, "/data");
	ck_assert_str_eq(config_set_instance(set, "api:a")->dir, "/data/api/a");
	ck_assert_ptr_null(config_set_text(set, CONFIG_MAIN, NULL));
	ck_assert_str_eq(config_set_settings_text(set, NULL), main);
	ck_assert_ptr_null(config_set_routing(set)->default_service);
	ck_assert_uint_eq(config_set_routing(set)->subdomains.count, 1);
	ck_assert_str_eq(option_map_get(&config_set_routing(set)->paths, "/a"), "api");

	/* Looking at something else changes nothing of it. */
	stage("api.toml", NULL);
	config_change_clear(&change);
	config_set_try(set, &change, &texts, NULL, NULL);
	mem_strv_free(texts);
	ck_assert_int_eq(config_set_settings(set)->max_delete_percent, 7);
	stage("api.toml", NULL);
	judge();
	ck_assert(change.settings);
	ck_assert_uint_eq(config_set_routing(set)->paths.count, 0);
	ck_assert_int_eq(config_set_settings(set)->max_delete_percent, 7);

	/* Wrong by itself now: what was right last holds. */
	stage(CONFIG_MAIN, "[settings]\nmax_delete_percent = 700\n");
	judge();
	ck_assert_int_eq(config_set_settings(set)->max_delete_percent, 7);
	ck_assert_str_eq(config_set_settings_text(set, NULL), main);

	/* The typo is mended. */
	stage(CONFIG_MAIN, "[settings]\nmax_delete_percent = 8\n[routing]\ndefault = 'notes'\n");
	stage("notes.toml", NOTES);
	judge();
	ck_assert_str_eq(problems(), "");
	ck_list(change.accepted, CONFIG_MAIN " notes.toml");
	ck_assert_int_eq(config_set_settings(set)->max_delete_percent, 8);
	ck_assert_str_eq(config_set_routing(set)->default_service, "notes");
	ck_assert_uint_eq(config_set_routing(set)->subdomains.count, 0);
}
END_TEST

/* Settings that do not fit what is in force are no part that holds. */
START_TEST(first_settings_that_collide)
{
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE "env = { X = '/data/.tenement/alice' }\n");
	judge();
	ck_assert_str_eq(problems(), "");
	stage(CONFIG_MAIN, "[settings]\ndata_dir = '/data'\n[routing]\ndefault = 'api'\n");
	judge();
	ck_list(change.rejected, CONFIG_MAIN);
	ck_list(change.instances, "");
	ck_assert(!change.settings);
	ck_assert_ptr_nonnull(strstr(problems(), "collides"));
	ck_assert_str_ne(config_set_settings(set)->data_dir, "/data");
	ck_assert_ptr_null(config_set_settings_text(set, NULL));

	stage(CONFIG_MAIN, "[settings]\ndata_dir = '/date'\n[routing]\ndefault = 'api'\n");
	judge();
	ck_list(change.instances, "notes:alice");
	ck_assert_str_eq(config_set_settings(set)->data_dir, "/date");
	stage(CONFIG_MAIN, NULL);
	judge();
	ck_list(change.accepted, CONFIG_MAIN);
	ck_assert_str_ne(config_set_settings(set)->data_dir, "/date");
	ck_assert_str_eq(problems(), "");
}
END_TEST

START_TEST(main_file)
{
	stage(CONFIG_MAIN,
		"[settings]\ndomain = 'Example.com'\nworkers = 3\n"
		"[service.api]\ncommand = 'api'\n[instances]\napi = ['prod']\n"
		"[routing]\ndefault = 'api'\n[routing.path]\n'/x' = 'api'\n'/x/y' = 'api'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	ck_assert(change.settings);
	ck_list(change.instances, "api:prod");
	ck_assert_str_eq(config_set_settings(set)->domain, "example.com");
	ck_assert_int_eq(config_set_settings(set)->workers, 3);
	ck_assert_str_eq(config_set_settings(set)->data_dir, "/srv/tenement-data");
	ck_assert_str_eq(config_set_routing(set)->default_service, "api");
	ck_assert_str_eq(config_set_routing(set)->paths.pairs[0].name, "/x/y");
	ck_assert_int_eq(config_set_instance(set, "api:prod")->tenant.state, TENANT_RUNNING);

	stage(CONFIG_MAIN,
		"[settings]\n[routing.path]\n'/x' = 'apu'\n[service.api]\ncommand = 'api'\n");
	judge();
	ck_assert(!change.settings);
	ck_assert_str_eq(problems(), "/srv/tenement.toml:0:0: service \"api\" and its 1 tenant "
				     "keep their last good state\n"
				     "/srv/tenement.toml:3:8: service \"apu\" is not declared (did "
				     "you mean \"api\"?)\n");
	ck_assert_str_eq(config_set_settings(set)->domain, "example.com");

	stage(CONFIG_MAIN, "[service.api]\ncommand = 'api'\n[instances]\napi = ['prod']\n");
	judge();
	ck_assert(change.settings);
	ck_assert_str_eq(config_set_settings(set)->domain, "localhost");
	ck_assert_ptr_null(config_set_routing(set)->default_service);
	stage(CONFIG_MAIN, NULL);
	judge();
	ck_list(change.accepted, CONFIG_MAIN);
	ck_list(change.instances, "api:prod");
	ck_assert(!change.settings);
}
END_TEST

START_TEST(settings_are_for_all)
{
	stage("notes.toml", NOTES);
	stage("a.toml", ALICE "domains = ['notes.alice.org']\n");
	judge();
	ck_assert_str_eq(
		config_set_instance(set, "notes:alice")->dir, "/srv/tenement-data/notes/alice");

	stage(CONFIG_MAIN, "[settings]\ndomain = 'alice.org'\n");
	judge();
	ck_list(change.rejected, CONFIG_MAIN);
	ck_assert(!change.settings);
	ck_assert_str_eq(problems(),
		"/srv/tenement.toml:0:0: notes:alice: the custom domain \"notes.alice.org\" is at "
		"or "
		"under the root domain \"alice.org\", where names are tenement's own "
		"(conf.d/a.toml:4)\n");
	ck_assert_str_eq(config_set_settings(set)->domain, "localhost");

	stage(CONFIG_MAIN, "[settings]\ndata_dir = '../data/./x/..'\n");
	judge();
	ck_assert(change.settings);
	ck_list(change.instances, "notes:alice");
	ck_assert_str_eq(config_set_instance(set, "notes:alice")->dir, "/data/notes/alice");

	stage("b.toml", BOB "domains = ['x.localhost', 'localhost']\n");
	judge();
	ck_assert_str_eq(problems(),
		"conf.d/b.toml:4:12: the custom domain \"x.localhost\" is at or under the root "
		"domain \"localhost\", where names are tenement's own\n"
		"conf.d/b.toml:4:27: the custom domain \"localhost\" is at or under the root "
		"domain "
		"\"localhost\", where names are tenement's own\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_settings");
	TCase *tests = tcase_create("config_settings");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, first_settings_hold);
	tcase_add_test(tests, first_settings_that_collide);
	tcase_add_test(tests, main_file);
	tcase_add_test(tests, settings_are_for_all);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

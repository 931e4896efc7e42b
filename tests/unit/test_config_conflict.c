/*
 * Files that do not fit together: who keeps what, and what is said where.
 */
#include "config_rig.h"

/* Two texts that declare the same: the holder keeps it, two new ones both lose. */
START_TEST(holder_keeps)
{
	stage("notes.toml", NOTES);
	stage("alice.toml", ALICE "domains = ['a.org']\n");
	judge();
	stage("again.toml", ALICE);
	stage("domain.toml", BOB "domains = ['A.org']\n");
	stage("service.toml", "[service.notes]\ncommand = 'other'\n");
	judge();
	ck_list(change.rejected, "again.toml domain.toml service.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(),
		"conf.d/again.toml:1:2: tenant \"notes:alice\" is declared by conf.d/alice.toml:1 "
		"too, which had it first\n"
		"conf.d/domain.toml:4:12: domain \"a.org\" is declared by conf.d/alice.toml:4 too, "
		"which had it first\n"
		"conf.d/service.toml:1:10: service \"notes\" is declared by conf.d/notes.toml:1 "
		"too, "
		"which had it first\n");

	/* What waits comes in when the holder goes. */
	stage("alice.toml", NULL);
	judge();
	ck_list(change.accepted, "again.toml alice.toml domain.toml");
	ck_list(change.instances, "notes:alice notes:bob");
	ck_assert_str_eq(state_of("notes:alice"), "again.toml");
}
END_TEST

START_TEST(new_ones_both_lose)
{
	stage("notes.toml", NOTES);
	stage("one.toml", ALICE);
	stage("two.toml", "\n" ALICE);
	stage("three.toml", BOB);
	judge();
	ck_list(change.accepted, "notes.toml three.toml");
	ck_list(change.rejected, "one.toml two.toml");
	ck_assert_str_eq(problems(),
		"conf.d/one.toml:1:2: tenant \"notes:alice\" is declared by conf.d/two.toml:2 too\n"
		"conf.d/two.toml:2:2: tenant \"notes:alice\" is declared by conf.d/one.toml:1 "
		"too\n");
	ck_assert_uint_eq(config_set_instance_count(set), 1);

	stage("two.toml", NULL);
	judge();
	ck_list(change.accepted, "one.toml two.toml");
	ck_list(change.instances, "notes:alice");
	ck_assert_str_eq(problems(), "");
}
END_TEST

START_TEST(twice_in_one_file)
{
	stage("notes.toml", NOTES);
	stage("two.toml", "[[tenant]]\nservice = 'notes'\nid = 'a'\ndomains = ['x.org', 'x.org']\n"
			  "[[tenant]]\nservice = 'notes'\nid = 'a'\n");
	judge();
	ck_list(change.rejected, "two.toml");
	ck_assert_str_eq(problems(),
		"conf.d/two.toml:1:1: tenant \"notes:a\" is declared by line 5 of this file too\n"
		"conf.d/two.toml:4:12: domain \"x.org\" is declared by line 4 of this file too\n"
		"conf.d/two.toml:4:21: domain \"x.org\" is declared by line 4 of this file too\n"
		"conf.d/two.toml:5:1: tenant \"notes:a\" is declared by line 1 of this file too\n");

	/* Nor when one of the two was in force before. */
	stage("two.toml", "[tenant]\nservice = 'notes'\nid = 'a'\n");
	judge();
	stage("two.toml", "[[tenant]]\nservice = 'notes'\nid = 'a'\n"
			  "[[tenant]]\nservice = 'notes'\nid = 'a'\n");
	judge();
	ck_list(change.rejected, "two.toml");
	ck_assert_uint_eq(config_set_instance_count(set), 1);
}
END_TEST

START_TEST(unknown_service)
{
	stage("notes.toml", NOTES);
	stage("a.toml", "[tenant]\nservice = 'nots'\n");
	stage("b.toml", "[tenant]\nservice = 'zebra'\n");
	judge();
	ck_list(change.accepted, "notes.toml");
	ck_assert_str_eq(problems(),
		"conf.d/a.toml:2:11: service \"nots\" is not declared (did you mean \"notes\"?)\n"
		"conf.d/b.toml:2:11: service \"zebra\" is not declared\n");
	/* It comes later: then its tenants are there. */
	stage("zebra.toml", "[service.zebra]\ncommand = 'z'\n");
	judge();
	ck_list(change.accepted, "b.toml zebra.toml");
	ck_list(change.instances, "zebra:b");
}
END_TEST

/* Many tenants that wait for one wrong file are one problem, at that file. */
START_TEST(service_wrong_from_the_start)
{
	stage("notes.toml", NOTES "rady = 1\n");
	stage("a.toml", ALICE);
	stage("b.toml", BOB);
	judge();
	ck_list(change.rejected, "a.toml b.toml notes.toml");
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: 2 tenants wait for its service \"notes\"\n"
		"conf.d/notes.toml:3:1: unknown key \"rady\" (did you mean \"ready\"?)\n");
	stage("notes.toml", NOTES);
	judge();
	ck_list(change.accepted, "a.toml b.toml notes.toml");
	ck_assert_str_eq(problems(), "");
}
END_TEST

START_TEST(service_goes_wrong)
{
	stage("notes.toml", NOTES);
	stage("a.toml", ALICE);
	stage("b.toml", BOB);
	judge();
	stage("notes.toml", NOTES "rady = 1\n");
	judge();
	ck_list(change.rejected, "notes.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: service \"notes\" and its 2 tenants keep their last good "
		"state\n"
		"conf.d/notes.toml:3:1: unknown key \"rady\" (did you mean \"ready\"?)\n");

	/* Tenants of it go on being changed meanwhile. */
	stage("a.toml", ALICE "weight = 3\n");
	stage("c.toml", "[tenant]\nservice = 'notes'\n");
	judge();
	ck_list(change.accepted, "a.toml c.toml");
	ck_list(change.instances, "notes:alice notes:c");
}
END_TEST

START_TEST(service_removed)
{
	stage("notes.toml", NOTES);
	stage("a.toml", ALICE);
	stage("b.toml", BOB);
	judge();
	stage("notes.toml", NULL);
	judge();
	ck_list(change.rejected, "notes.toml");
	ck_list(change.instances, "");
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: it is gone, and with it service \"notes\", which 2 tenants "
		"still use (conf.d/a.toml and others): all stay as they were\n");

	/* One that comes now comes to the service in force. */
	stage("c.toml", "[tenant]\nservice = 'notes'\n");
	judge();
	ck_list(change.accepted, "c.toml");

	/* With the last of its tenants the service goes. */
	stage("a.toml", NULL);
	stage("b.toml", NULL);
	judge();
	ck_list(change.instances, "notes:alice notes:bob");
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: it is gone, and with it service \"notes\", which 1 tenant "
		"still uses (conf.d/c.toml): all stay as they were\n");
	stage("c.toml", NULL);
	judge();
	ck_list(change.accepted, "c.toml notes.toml");
	ck_assert_ptr_null(config_set_service(set, "notes"));
	ck_assert_str_eq(problems(), "");
}
END_TEST

/* A brand-new tenant does not hold back the removal of its service. */
START_TEST(service_removed_under_a_new_tenant)
{
	stage("notes.toml", NOTES);
	judge();
	stage("notes.toml", NULL);
	stage("a.toml", ALICE);
	judge();
	ck_list(change.accepted, "notes.toml");
	ck_list(change.rejected, "a.toml");
	ck_assert_str_eq(problems(), "conf.d/a.toml:2:11: service \"notes\" is not declared\n");
}
END_TEST

START_TEST(service_moves_between_files)
{
	stage("one.toml", NOTES);
	stage("a.toml", ALICE);
	judge();
	stage("one.toml", NULL);
	stage("two.toml", NOTES "idle_timeout = 1\n");
	judge();
	ck_list(change.accepted, "one.toml two.toml");
	ck_list(change.instances, "notes:alice");

	/* To a file that is wrong: all stays. */
	stage("two.toml", NULL);
	stage("three.toml", NOTES "idle_timeout = 2\nx = 1\n");
	judge();
	ck_list(change.rejected, "three.toml two.toml");
	ck_list(change.instances, "");
	ck_assert_int_eq(config_set_instance(set, "notes:alice")->values.idle_timeout, 1);
}
END_TEST

START_TEST(routes)
{
	const struct config_route *route;

	stage("notes.toml", NOTES);
	stage("a.toml", ALICE);
	stage("b.toml", BOB);
	stage("notes.route.toml", "[route.notes]\nsplit = { bob = 5, alice = 95 }\n");
	judge();
	ck_assert_str_eq(problems(), "");
	route = config_set_route(set, "notes");
	ck_assert_uint_eq(route->count, 2);
	ck_assert_str_eq(route->split[0].id, "alice");
	ck_assert_uint_eq(route->split[0].weight, 95);
	ck_assert_str_eq(route->file, "notes.route.toml");

	stage("notes.route.toml", "[route.notes]\nsplit = { bobb = 1 }\n");
	stage("x.toml", "[route.nots]\nsplit = { a = 1 }\n");
	judge();
	ck_list(change.rejected, "notes.route.toml x.toml");
	ck_list(change.routes, "");
	ck_assert_str_eq(problems(),
		"conf.d/notes.route.toml:2:11: split names \"bobb\", which is no tenant of "
		"\"notes\" "
		"(did you mean \"bob\"?)\n"
		"conf.d/x.toml:1:8: service \"nots\" is not declared (did you mean \"notes\"?)\n");
	stage("x.toml", NULL);
	stage("notes.route.toml", "[route.notes]\nsplit = { bob = 5, alice = 95 }\n");
	judge();
	ck_assert_str_eq(problems(), "");

	/* A tenant that a route names stays until the route lets go of it. */
	stage("b.toml", NULL);
	judge();
	ck_list(change.rejected, "b.toml");
	ck_assert_str_eq(problems(), "conf.d/b.toml:0:0: notes:bob is declared no more, but "
				     "conf.d/notes.route.toml:2 still sends traffic to it\n");
	stage("notes.route.toml", "[route.notes]\nsplit = { alice = 1 }\n");
	judge();
	ck_list(change.accepted, "b.toml notes.route.toml");
	ck_list(change.instances, "notes:bob");
	ck_list(change.routes, "notes");

	stage("two.toml", "[route.notes]\nsplit = { alice = 2 }\n");
	judge();
	ck_assert_str_eq(problems(), "conf.d/two.toml:1:8: route \"notes\" is declared by "
				     "conf.d/notes.route.toml:1 too, "
				     "which had it first\n");
	stage("two.toml", NULL);
	stage("notes.route.toml", NULL);
	judge();
	ck_list(change.routes, "notes");
	ck_assert_ptr_null(config_set_route(set, "notes"));
}
END_TEST

/* A service that [routing] names cannot be taken away either. */
START_TEST(routing_holds_services)
{
	stage(CONFIG_MAIN, "[routing]\ndefault = 'api'\n");
	stage("api.toml", "[service.api]\ncommand = 'api'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	stage("api.toml", NULL);
	judge();
	ck_list(change.rejected, "api.toml");
	ck_assert_str_eq(problems(),
		"conf.d/api.toml:0:0: it is gone, and with it service \"api\", "
		"which /srv/tenement.toml:2 still names: all stays as it was\n");
	ck_assert_ptr_nonnull(config_set_service(set, "api"));
}
END_TEST

START_TEST(claims)
{
	stage("notes.toml", CLAIMS);
	stage("a.toml", ALICE);
	stage("other.toml", "[service.other]\ncommand = 'o'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	ck_list(config_set_instance(set, "notes:alice")->claims, "/srv/tenement-data/alice");

	/* With the id of a service: its folder. */
	stage("b.toml", "[tenant]\nservice = 'notes'\nid = 'other'\n");
	/* Of another service, with the same id: the same folder. */
	stage("c.toml", "[tenant]\nservice = 'other'\nid = 'alice'\n"
			"env = { X = '{data_dir}/alice/x', Y = '/elsewhere/alice' }\n");
	stage("d.toml", "[tenant]\nservice = 'other'\nid = 'd'\n"
			"env = { X = '{data_dir}/alice/inside/d' }\n");
	stage("e.toml", "[tenant]\nservice = 'other'\nid = 'e'\n"
			"env = { X = '{data_dir}/.tenement/e' }\n");
	stage("f.toml", "[tenant]\nservice = 'other'\nid = 'f'\n"
			"env = { X = '{data_dir}/notes/../../f' }\n");
	/* Its own folder, elsewhere below data_dir, and a name that is no component. */
	stage("g.toml",
		"[tenant]\nservice = 'other'\nid = 'g'\n"
		"env = { X = '{dir}/x/g', Y = '{data_dir}/big/x', Z = '{data_dir}/y/g/z' }\n");
	judge();
	ck_list(change.accepted, "g.toml");
	ck_list(config_set_instance(set, "other:g")->claims, "/srv/tenement-data/y/g");
	ck_assert_str_eq(problems(),
		"conf.d/b.toml:1:2: the path \"/srv/tenement-data/other\" of notes:other collides "
		"with "
		"\"/srv/tenement-data/other\" of the folder of service \"other\"\n"
		"conf.d/c.toml:1:2: the path \"/srv/tenement-data/alice\" of other:alice collides "
		"with "
		"\"/srv/tenement-data/alice\" of notes:alice (conf.d/a.toml:1)\n"
		"conf.d/d.toml:1:2: the path \"/srv/tenement-data/alice/inside/d\" of other:d "
		"collides "
		"with \"/srv/tenement-data/alice\" of notes:alice (conf.d/a.toml:1)\n"
		"conf.d/e.toml:1:2: the path \"/srv/tenement-data/.tenement/e\" of other:e "
		"collides "
		"with \"/srv/tenement-data/.tenement\" of tenement itself\n"
		"conf.d/f.toml:4:13: X: \"/srv/tenement-data/notes/../../f\" begins in data_dir "
		"and "
		"leaves it by \"..\"\n");

	/* A service whose folder is somebody's already. */
	stage("alice.toml", "[service.alice]\ncommand = 'a'\n");
	judge();
	ck_list(change.rejected, "alice.toml");
	/* A claim that holds another's. */
	stage("h.toml", "[tenant]\nservice = 'other'\nid = 'y'\nenv = { X = '{data_dir}/y' }\n");
	judge();
	ck_list(change.rejected, "h.toml");
	ck_assert_uint_eq(config_set_instance_count(set), 2);

	/* What was in the way goes: those that wait are in each other's. */
	stage("a.toml", NULL);
	judge();
	ck_list(change.accepted, "a.toml");
	stage("alice.toml", NULL);
	stage("c.toml", NULL);
	judge();
	ck_list(change.accepted, "alice.toml c.toml d.toml");
}
END_TEST

START_TEST(new_claims_both_lose)
{
	stage("notes.toml", CLAIMS);
	stage("other.toml",
		"[service.other]\ncommand = 'o'\nenv = { D = 'file:{data_dir}/{id}/x' }\n");
	stage("a.toml", ALICE);
	stage("b.toml", "[tenant]\nservice = 'other'\nid = 'alice'\n");
	judge();
	ck_list(change.accepted, "notes.toml other.toml");
	ck_list(change.rejected, "a.toml b.toml");
	ck_assert_str_eq(problems(),
		"conf.d/a.toml:1:2: the path \"/srv/tenement-data/alice\" of notes:alice collides "
		"with "
		"\"/srv/tenement-data/alice\" of other:alice (conf.d/b.toml:1)\n"
		"conf.d/b.toml:1:2: the path \"/srv/tenement-data/alice\" of other:alice collides "
		"with "
		"\"/srv/tenement-data/alice\" of notes:alice (conf.d/a.toml:1)\n");
}
END_TEST

/* A file that goes wrong at the same time keeps its folder against one that is new. */
START_TEST(claim_against_what_was_put_back)
{
	stage("c.toml", "[service.s]\ncommand = 'c'\n");
	judge();
	stage("c.toml", "[tenant]\nservice = 'none'\n");
	stage(CONFIG_MAIN, "[instances]\nt = ['s']\n[service.t]\ncommand = 't'\n"
			   "env = { D = '{data_dir}/{id}' }\n");
	judge();
	ck_list(change.rejected, CONFIG_MAIN " c.toml");
	ck_assert_uint_eq(config_set_instance_count(set), 0);
}
END_TEST

/* A service is kept for those that use it in force, not for a text that is refused. */
START_TEST(removal_with_a_wrong_user)
{
	stage("s.toml", "[service.s]\ncommand = 'x'\n");
	stage("bob.toml", "[tenant]\nservice = 's'\n");
	judge();
	stage("s.toml", NULL);
	stage("bob.toml", NULL);
	stage("x.toml", "[tenant]\nservice = 's'\nid = 'bob'\n[route.none]\nsplit = { a = 1 }\n");
	judge();
	ck_list(change.accepted, "bob.toml s.toml");
	ck_list(change.rejected, "x.toml");
	judge();
	ck_list(change.accepted, "");
}
END_TEST

/* A template that its accepted tenants cannot follow is the template's fault. */
START_TEST(template_that_does_not_fit)
{
	stage("notes.toml", NOTES);
	stage("other.toml", "[service.other]\ncommand = 'o'\nenv = { D = '{data_dir}/{id}' }\n");
	stage("a.toml", ALICE);
	stage("b.toml", "[tenant]\nservice = 'other'\nid = 'alice'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	stage("notes.toml", CLAIMS);
	judge();
	ck_list(change.rejected, "notes.toml");
	ck_list(change.instances, "");
	stage("notes.toml",
		NOTES "socket = '/run/{id}/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'\n");
	judge();
	ck_list(change.rejected, "notes.toml");
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: service \"notes\" and its 1 tenant keep their last good "
		"state\n"
		"conf.d/notes.toml:3:10: notes:alice: the socket's path would be 110 bytes long, "
		"107 "
		"are possible: "
		"/run/alice/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
	/* Wrong for whomever. */
	stage("notes.toml", NOTES "ready = 'health'\nenv = { X = '{data_dir}/../y' }\n");
	judge();
	ck_assert_str_eq(problems(),
		"conf.d/notes.toml:0:0: service \"notes\" and its 1 tenant keep their last good "
		"state\n"
		"conf.d/notes.toml:3:9: ready = \"health\" needs a health path: write health = "
		"\"/...\"\n"
		"conf.d/notes.toml:4:13: X: \"/srv/tenement-data/../y\" begins in data_dir and "
		"leaves "
		"it by \"..\"\n");
}
END_TEST

/* Whoever may come must have room. */
START_TEST(any_id_fits)
{
	stage("notes.toml",
		NOTES "socket = '/run/01234567890123456789012345678901234567890123/{id}'\n");
	judge();
	ck_assert_str_eq(problems(), "");
	stage("notes.toml",
		NOTES "socket = '/run/01234567890123456789012345678901234567890123/{id}'\n"
		      "spawn_undeclared = true\n");
	judge();
	ck_list(change.rejected, "notes.toml");
	ck_assert_ptr_nonnull(strstr(problems(), "conf.d/notes.toml:3:10: the socket's path would "
						 "be 113 bytes long, 107 are possible"));
}
END_TEST

START_TEST(one_socket_for_two)
{
	stage("notes.toml", NOTES "socket = '{runtime_dir}/notes.sock'\n");
	stage("a.toml", ALICE);
	judge();
	ck_assert_ptr_nonnull(
		strstr(config_set_instance(set, "notes:alice")->socket_path, "/run/tenement/"));
	stage("b.toml", BOB);
	judge();
	ck_list(change.rejected, "b.toml");
	ck_assert_ptr_nonnull(strstr(problems(), "of notes:bob collides with"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_conflict");
	TCase *tests = tcase_create("config_conflict");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, holder_keeps);
	tcase_add_test(tests, new_ones_both_lose);
	tcase_add_test(tests, twice_in_one_file);
	tcase_add_test(tests, unknown_service);
	tcase_add_test(tests, service_wrong_from_the_start);
	tcase_add_test(tests, service_goes_wrong);
	tcase_add_test(tests, service_removed);
	tcase_add_test(tests, service_removed_under_a_new_tenant);
	tcase_add_test(tests, service_moves_between_files);
	tcase_add_test(tests, routes);
	tcase_add_test(tests, routing_holds_services);
	tcase_add_test(tests, claims);
	tcase_add_test(tests, new_claims_both_lose);
	tcase_add_test(tests, claim_against_what_was_put_back);
	tcase_add_test(tests, removal_with_a_wrong_user);
	tcase_add_test(tests, template_that_does_not_fit);
	tcase_add_test(tests, any_id_fits);
	tcase_add_test(tests, one_socket_for_two);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config_set.h"
#include "mem.h"
#include "spec.h"
#include "spec_template.h"

static struct config_set *set;
static struct machine machine;

static void setup(void)
{
	const struct config_place place = { .main_path = "/srv/tenement.toml",
		.conf_dir = "/srv/con{f}.d",
		.root = true,
		.machine = &machine };

	set = config_set_new(&place);
}

static void teardown(void)
{
	config_set_free(set);
	machine_clear(&machine);
}

/* The spec of notes:alice as these two files make it; the caller's. */
static const struct ten_spec *make(const char *service, const char *tenant)
{
	struct config_change change;
	const struct config_problem *problems;
	const struct ten_spec *spec;

	config_set_stage(set, "notes.toml", service, strlen(service));
	config_set_stage(set, "notes-alice.toml", tenant, strlen(tenant));
	config_set_judge(set, &change);
	config_change_clear(&change);
	ck_assert_msg(config_set_problems(set, &problems) == 0, "%s", problems[0].message);
	spec = config_set_instance(set, "notes:alice");
	ck_assert_ptr_nonnull(spec);
	return spec_ref(spec);
}

#define NOTES "[service.notes]\ncommand = 'run -x \"a b\"'\n"
#define ALICE "[tenant]\nservice = 'notes'\n"

START_TEST(layers)
{
	const struct ten_spec *spec =
		make(NOTES "args = ['last']\nidle_timeout = 5\nweight = 3\n"
			   "[service.notes.env]\nA = 'service'\nB = 'service'\n",
			ALICE "idle_timeout = 6\n[tenant.env]\nB = 'tenant'\nC = 1\n");

	ck_assert_str_eq(spec->key, "notes:alice");
	ck_assert_str_eq(spec->dir, "/srv/tenement-data/notes/alice");
	ck_assert_str_eq(spec->file, "notes-alice.toml");
	ck_assert_int_eq(spec->line, 1);
	ck_assert_int_eq(spec->values.idle_timeout, 6);
	ck_assert_int_eq(spec->values.weight, 3);
	ck_assert_int_eq(spec->values.startup_timeout, 10);
	ck_assert_uint_eq(spec->values.env.count, 3);
	ck_assert_str_eq(option_map_get(&spec->values.env, "A"), "service");
	ck_assert_str_eq(option_map_get(&spec->values.env, "B"), "tenant");
	ck_assert_str_eq(option_map_get(&spec->values.env, "C"), "1");
	ck_assert_str_eq(spec->tenant.service, "notes");
	ck_assert_str_eq(spec->tenant.id, "alice");
	ck_assert_uint_eq(mem_strv_length(spec->argv), 4);
	ck_assert_str_eq(spec->argv[0], "run");
	ck_assert_str_eq(spec->argv[2], "a b");
	ck_assert_str_eq(spec->argv[3], "last");
	ck_assert_ptr_null(spec->socket_path);
	/* The folder of the service's file, whose braces are no placeholders. */
	ck_assert_str_eq(spec->values.workdir, "/srv/con{{f}}.d");
	spec_unref(spec);
}
END_TEST

START_TEST(a_default_that_is_written_out)
{
	const struct ten_spec *left = make(NOTES, ALICE);
	const struct ten_spec *written = make(NOTES "memory_limit_mb = 256\n", ALICE);
	const struct ten_spec *own = make(NOTES, ALICE "memory_limit_mb = 256\n");

	ck_assert(!left->memory_limit_written);
	ck_assert(written->memory_limit_written && own->memory_limit_written);
	ck_assert(spec_same(written, own) && !spec_same(left, written));
	ck_assert_uint_eq(left->restart_hash, written->restart_hash);
	spec_unref(left);
	spec_unref(written);
	spec_unref(own);
}
END_TEST

START_TEST(degraded)
{
	const struct ten_spec *spec;

	machine_add_lack(&machine, "isolation", "namespace", "no rights");
	machine_add_lack(&machine, "isolation", "sandbox", "no program");
	machine_add_lack(&machine, "memory_limit_mb", NULL, "no groups");
	machine_add_lack(&machine, "memory_limit_mb", NULL, "another reason");
	machine_add_lack(&machine, "pids_limit", NULL, "no groups");
	machine_add_lack(&machine, "mounts", NULL, "no rights");
	machine_add_lack(&machine, "log_to", "files", "no words like it are refused");
	spec = make(NOTES, ALICE);
	ck_assert_uint_eq(mem_strv_length(spec->degraded), 2);
	ck_assert_str_eq(spec->degraded[0], "isolation = \"namespace\" cannot be given: no rights");
	ck_assert_str_eq(spec->degraded[1], "memory_limit_mb = 256 cannot be given: no groups");
	spec_unref(spec);
	spec = make(NOTES "isolation = 'process'\n", ALICE "memory_limit_mb = 0\n");
	ck_assert_uint_eq(mem_strv_length(spec->degraded), 0);
	ck_assert_ptr_null(machine_lacks_value(&machine, "isolation", "process"));
	ck_assert_str_eq(machine_lacks_value(&machine, "isolation", "sandbox"), "no program");
	spec_unref(spec);
}
END_TEST

/* A written value that the machine cannot give refuses the file that says it. */
static const struct {
	const char *service, *tenant, *file, *message;
} lacking[] = {
	{ NOTES "isolation = 'namespace'\n", ALICE, "con{f}.d/notes.toml",
		"isolation = \"namespace\" cannot be given: no rights" },
	{ NOTES, ALICE "isolation = 'sandbox'\n", "con{f}.d/notes-alice.toml",
		"isolation = \"sandbox\" cannot be given: no program" },
	{ NOTES, ALICE "memory_limit_mb = 5\n", "con{f}.d/notes-alice.toml",
		"memory_limit_mb = 5 cannot be given: no groups" },
	{ NOTES "[[service.notes.mounts]]\nsource = '/a'\ndestination = '/b'\n", ALICE,
		"con{f}.d/notes.toml", "mounts cannot be given: no rights" },
	{ NOTES, ALICE "log_to = ['store', 'journald']\n", "con{f}.d/notes-alice.toml",
		"log_to = [\"store\", \"journald\"] cannot be given: no socket" },
	{ NOTES "isolation = 'process'\n", ALICE "storage_over = 'readonly'\n",
		"con{f}.d/notes-alice.toml",
		"storage_over = \"readonly\" needs isolation = \"namespace\": a process that sees "
		"the folders of the machine cannot be kept from writing to its own" },
};

START_TEST(lacks)
{
	const struct config_problem *problems;
	struct config_change change;

	machine_add_lack(&machine, "isolation", "namespace", "no rights");
	machine_add_lack(&machine, "isolation", "sandbox", "no program");
	machine_add_lack(&machine, "memory_limit_mb", NULL, "no groups");
	machine_add_lack(&machine, "mounts", NULL, "no rights");
	machine_add_lack(&machine, "log_to", "journald", "no socket");
	config_set_stage(set, "notes.toml", lacking[_i].service, strlen(lacking[_i].service));
	config_set_stage(set, "notes-alice.toml", lacking[_i].tenant, strlen(lacking[_i].tenant));
	config_set_judge(set, &change);
	config_change_clear(&change);
	ck_assert_ptr_null(config_set_instance(set, "notes:alice"));
	for (size_t i = 0; i < config_set_problems(set, &problems); i++)
		if (strcmp(problems[i].file, lacking[_i].file) == 0 &&
			strcmp(problems[i].message, lacking[_i].message) == 0)
			return;
	ck_abort_msg("nobody says: %s", lacking[_i].message);
}
END_TEST

#define SANDBOX NOTES "isolation = 'sandbox'\n"
static const struct {
	const char *service, *tenant;
	const char *message; /* NULL: there is nothing wrong */
} sandboxes[] = {
	{ NOTES, ALICE, NULL },
	{ SANDBOX, ALICE, "sandbox = \"auto\" cannot be given: no runsc" },
	{ SANDBOX "sandbox = 'gvisor'\n", ALICE, "sandbox = \"gvisor\" cannot be given: no runsc" },
	{ NOTES, ALICE "isolation = 'sandbox'\n", "sandbox = \"auto\" cannot be given: no runsc" },
	{ SANDBOX "sandbox = 'native'\n", ALICE, NULL },
	{ NOTES, ALICE "isolation = 'sandbox'\nsandbox = 'native'\n", NULL },
	{ NOTES "sandbox = 'native'\n", ALICE,
		"sandbox has no effect without isolation = \"sandbox\"" },
	{ SANDBOX "sandbox = 'native'\nready = 'notify'\nsocket_activation = true\n", ALICE, NULL },
	{ SANDBOX "ready = 'notify'\n", ALICE,
		"ready = \"notify\" does not reach the daemon out of gVisor: use ready = "
		"\"listen\" "
		"or \"health\", or sandbox = \"native\"" },
	{ SANDBOX "rootfs = '/srv/root'\n", ALICE,
		"rootfs cannot be had in gVisor: leave it out, or use sandbox = \"native\"" },
	{ SANDBOX "sandbox = 'native'\nrootfs = '/srv/root'\n", ALICE, NULL },
	{ SANDBOX "socket_activation = true\n", ALICE,
		"socket_activation: gVisor takes no socket from outside: leave it out, or use "
		"sandbox = \"native\"" },
};

START_TEST(sandbox)
{
	const struct config_problem *problems;
	struct config_change change;
	bool said = false;
	size_t count;

	machine_add_lack(&machine, "sandbox", "auto", "no runsc");
	machine_add_lack(&machine, "sandbox", "gvisor", "no runsc");
	if (!sandboxes[_i].message) {
		const struct ten_spec *spec = make(sandboxes[_i].service, sandboxes[_i].tenant);

		ck_assert_uint_eq(mem_strv_length(spec->degraded), 0);
		spec_unref(spec);
		return;
	}
	config_set_stage(set, "notes.toml", sandboxes[_i].service, strlen(sandboxes[_i].service));
	config_set_stage(
		set, "notes-alice.toml", sandboxes[_i].tenant, strlen(sandboxes[_i].tenant));
	config_set_judge(set, &change);
	config_change_clear(&change);
	ck_assert_ptr_null(config_set_instance(set, "notes:alice"));
	count = config_set_problems(set, &problems);
	for (size_t i = 0; i < count; i++)
		said = said || strcmp(problems[i].message, sandboxes[_i].message) == 0;
	ck_assert_msg(said, "nobody says: %s", sandboxes[_i].message);
}
END_TEST

/* Who says when it sleeps. */
#define SLEEP(n, m)                                                                                \
	"sleep = [{ after = " #n ", to = 'frozen' }, { after = " #m ", to = 'stopped' }]\n"
static const struct {
	const char *service, *tenant;
	int64_t frozen, stopped;
} ladders[] = {
	{ NOTES, ALICE, 0, 300 },
	{ NOTES "idle_timeout = 7\n", ALICE, 0, 7 },
	{ NOTES "idle_timeout = 0\n", ALICE, 0, 0 },
	{ NOTES SLEEP(5, 6), ALICE, 5, 6 },
	{ NOTES SLEEP(5, 6), ALICE "idle_timeout = 7\n", 0, 7 },
	{ NOTES SLEEP(5, 6), ALICE "idle_timeout = 0\n", 0, 0 },
	{ NOTES "idle_timeout = 7\n", ALICE SLEEP(5, 6), 5, 6 },
	{ NOTES SLEEP(5, 6), ALICE SLEEP(8, 9), 8, 9 },
	{ NOTES "sleep = [{ after = 5, to = 'frozen' }]\n", ALICE, 5, 0 },
	{ NOTES SLEEP(5, 6), ALICE "sleep = []\n", 0, 300 },
};

START_TEST(ladder)
{
	const struct ten_spec *spec = make(ladders[_i].service, ladders[_i].tenant);

	ck_assert_int_eq(spec->ladder.frozen, ladders[_i].frozen);
	ck_assert_int_eq(spec->ladder.stopped, ladders[_i].stopped);
	spec_unref(spec);
}
END_TEST

/* What a change of a value changes in the spec. */
static const struct {
	const char *service, *tenant;
	bool restart, live;
} changes[] = {
	{ NOTES, ALICE, false, false },
	{ "\n\n" NOTES, "# c\n" ALICE, false, false },
	{ NOTES "idle_timeout = 300\n", ALICE, false, false },
	{ NOTES, ALICE "isolation = 'process'\n", true, false },
	{ NOTES "idle_timeout = 301\n", ALICE, false, true },
	{ NOTES "sleep = [{ after = 9, to = 'frozen' }]\n", ALICE, false, true },
	{ NOTES "sleep = []\n", ALICE, false, false },
	{ NOTES "awake = 'daily 08:00-18:00 UTC'\n", ALICE, false, true },
	{ NOTES, ALICE "awake = ['daily 08:00-18:00 UTC']\n", false, true },
	{ NOTES "awake = 'daily 08:00-18:00 UTC'\n", ALICE "awake = []\n", false, false },
	{ NOTES, ALICE "wake_at = 'hourly :15'\n", false, true },
	{ NOTES, ALICE "weight = 1\n", false, true },
	{ NOTES, ALICE "domains = ['a.org']\n", false, true },
	{ NOTES, ALICE "state = 'running'\n", false, true },
	{ NOTES, ALICE "rate_limit = 5\n", false, true },
	{ NOTES "rate_burst = 5\n", ALICE, false, true },
	{ NOTES "max_concurrent = 5\n", ALICE, false, true },
	{ NOTES, ALICE "queue_size = 0\n", false, true },
	{ NOTES, ALICE "queue_timeout = 1\n", false, true },
	{ NOTES, ALICE "max_connections = 5\n", false, true },
	{ NOTES, ALICE "command = 'run -x'\n", true, false },
	{ NOTES, ALICE "args = ['']\n", true, false },
	{ NOTES, ALICE "env = { A = '' }\n", true, false },
	{ NOTES "env = { A = 'b' }\n", ALICE "env = { A = '' }\n", true, false },
	{ NOTES "workdir = 'x'\n", ALICE, true, false },
	{ NOTES, ALICE "version = '2'\n", true, false },
	{ NOTES, ALICE "version = ''\nsuspended_status = 402\n", true, true },
};

START_TEST(hashes)
{
	const struct ten_spec *before = make(NOTES, ALICE);
	const struct ten_spec *after = make(changes[_i].service, changes[_i].tenant);

	ck_assert_int_eq(before->restart_hash != after->restart_hash, changes[_i].restart);
	ck_assert_int_eq(before->live_hash != after->live_hash, changes[_i].live);
	spec_unref(before);
	spec_unref(after);
}
END_TEST

static const struct {
	const char *text;
	const char *filled; /* NULL: refused with */
	const char *message;
} templates[] = {
	{ "", "", NULL },
	{ "{name}-{id}", "notes-alice", NULL },
	{ "{data_dir}|{dir}", "/d|/srv/tenement-data/notes/alice", NULL },
	{ "{runtime_dir}/{socket}:{port}", "/r/s:5", NULL },
	{ "{version}", "alice", NULL },
	{ "{{id}} {{{id}}}", "{id} {alice}", NULL },
	{ "a}b }}", "a}b }", NULL },
	{ "{di}", NULL, "unknown placeholder {di} (did you mean {id}?)" },
	{ "{HOME}", NULL,
		"unknown placeholder {HOME}: there are {name} {id} {data_dir} {dir} {port} "
		"{socket} "
		"{version} {runtime_dir}, and \"{{\" stands for a brace" },
	{ "{", NULL, "a \"{\" without its \"}\": write \"{{\" where a brace is meant" },
	{ "{a{id}", NULL, "a \"{\" without its \"}\": write \"{{\" where a brace is meant" },
};

START_TEST(interpolate)
{
	const struct spec_place place = { "/d", "/r", "s", 5 };
	const struct ten_spec *spec = make(NOTES, ALICE);
	struct ten_error err = { 0 };
	autofree char *filled = spec_interpolate(spec, &place, templates[_i].text, &err);

	ck_assert_pstr_eq(filled, templates[_i].filled);
	if (!filled)
		ck_assert_str_eq(err.text, templates[_i].message);
	spec_unref(spec);
}
END_TEST

START_TEST(interpolate_unknown_yet)
{
	const struct spec_place place = { .data_dir = "/d" };
	const struct ten_spec *spec = make(NOTES, ALICE "version = '7'\n");
	struct ten_error err = { 0 };
	autofree char *version = spec_interpolate(spec, &place, "v{version}", &err);

	ck_assert_str_eq(version, "v7");
	ck_assert_ptr_null(spec_interpolate(spec, &place, "{port}", &err));
	ck_assert_str_eq(err.text, "{port} is not known here");
	spec_unref(spec);
}
END_TEST

START_TEST(escape)
{
	const char *const none[PLACEHOLDER_COUNT] = { 0 };
	autofree char *escaped = spec_template_escape("/a{id}/}{");
	autofree char *filled = spec_template_fill(escaped, none, NULL);

	ck_assert_str_eq(escaped, "/a{{id}}/}}{{");
	ck_assert_str_eq(filled, "/a{id}/}{");
}
END_TEST

START_TEST(sockets)
{
	const struct ten_spec *spec =
		make(NOTES "socket = '{dir}/./x/../s-{version}.sock'\n", ALICE);

	ck_assert_str_eq(spec->socket_path, "/srv/tenement-data/notes/alice/s-alice.sock");
	spec_unref(spec);
}
END_TEST

/* The claims that values of the environment make. */
static const struct {
	const char *value;
	const char *claim; /* below /srv/tenement-data; NULL: none */
} claims[] = {
	{ "{data_dir}/{id}", "/alice" },
	{ "{data_dir}//./{id}/", "/alice" },
	{ "{data_dir}/x/../{id}/y", "/alice" },
	{ "{data_dir}/cache/{id}/deep/{id}", "/cache/alice" },
	{ "/srv/tenement-data/alice", "/alice" },
	{ "sqlite:///{data_dir}/{id}/app.db?mode=rw", "/alice" },
	{ "/usr/bin:{data_dir}/{id}/bin", "/alice" },
	{ "{data_dir}/my folder/{id}", "/my folder/alice" },
	{ "{data_dir}", NULL },
	{ "{data_dir}/", NULL },
	{ "{data_dir}/x{id}", NULL },
	{ "{data_dir}/{id}.db", NULL },
	{ "{data_dir}x/{id}", NULL },
	{ "/other{data_dir}/{id}", NULL },
	{ "{dir}/{id}", NULL },
	{ "{data_dir}/{name}/{id}", NULL },
	{ "{data_dir}/{port}/x", NULL },
	{ "alice", NULL },
};

START_TEST(claim)
{
	autofree char *service = mem_printf(NOTES "env = { X = '%s' }\n", claims[_i].value);
	autofree char *expected =
		claims[_i].claim ? mem_printf("/srv/tenement-data%s", claims[_i].claim) : NULL;
	const struct ten_spec *spec = make(service, ALICE);

	ck_assert_pstr_eq(spec->claims[0], expected);
	if (expected)
		ck_assert_ptr_null(spec->claims[1]);
	spec_unref(spec);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spec");
	TCase *tests = tcase_create("spec");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, layers);
	tcase_add_test(tests, a_default_that_is_written_out);
	tcase_add_test(tests, degraded);
	tcase_add_loop_test(tests, lacks, 0, sizeof(lacking) / sizeof(lacking[0]));
	tcase_add_loop_test(tests, sandbox, 0, sizeof(sandboxes) / sizeof(sandboxes[0]));
	tcase_add_loop_test(tests, ladder, 0, sizeof(ladders) / sizeof(ladders[0]));
	tcase_add_loop_test(tests, hashes, 0, sizeof(changes) / sizeof(changes[0]));
	tcase_add_loop_test(tests, interpolate, 0, sizeof(templates) / sizeof(templates[0]));
	tcase_add_test(tests, interpolate_unknown_yet);
	tcase_add_test(tests, escape);
	tcase_add_test(tests, sockets);
	tcase_add_loop_test(tests, claim, 0, sizeof(claims) / sizeof(claims[0]));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

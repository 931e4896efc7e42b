#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sandbox_bundle.h"
#include "mem.h"

static struct view view;
static json_t *config;

static void teardown(void)
{
	json_decref(config);
	config = NULL;
	view_clear(&view);
}

static struct sandbox_bundle bundle(void)
{
	static char *argv[] = { "./serve", "--fast", NULL };
	static char *env[] = { "A=1", "NAME=caf\xc3\xa9", NULL };

	view_sort(&view);
	return (struct sandbox_bundle){ .folder = "/run/box",
		.view = &view,
		.argv = argv,
		.env = env,
		.workdir = "/srv/app",
		.hostname = "alice",
		.nofile = 512 };
}

static void make(void)
{
	struct sandbox_bundle made = bundle();
	struct ten_error err;
	autofree char *text = sandbox_bundle_config(&made, &err);

	ck_assert_msg(text != NULL, "%s", err.text);
	config = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(config);
}

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The only mount at PATH; NULL: there is none. */
static const json_t *mount_at(const char *path)
{
	const json_t *mount, *found = NULL;
	size_t i;

	json_array_foreach (json_object_get(config, "mounts"), i, mount) {
		if (strcmp(text_at(mount, "destination"), path) != 0)
			continue;
		ck_assert_ptr_null(found);
		found = mount;
	}
	return found;
}

static void is_mount(const char *path, const char *type, const char *source, const char *option)
{
	const json_t *mount = mount_at(path);

	ck_assert_msg(mount != NULL, "nothing at %s", path);
	ck_assert_str_eq(text_at(mount, "type"), type);
	ck_assert_str_eq(text_at(mount, "source"), source);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(mount, "options"), 0)), option);
}

START_TEST(says_what_to_run)
{
	const json_t *process, *limits;

	make();
	process = json_object_get(config, "process");
	limits = json_object_get(process, "rlimits");
	ck_assert_str_eq(text_at(process, "cwd"), "/srv/app");
	ck_assert_str_eq(text_at(config, "hostname"), "alice");
	ck_assert_uint_eq(json_array_size(json_object_get(process, "args")), 2);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(process, "env"), 1)),
		"NAME=caf\xc3\xa9");
	ck_assert(json_is_true(json_object_get(process, "noNewPrivileges")));
	ck_assert(json_is_false(json_object_get(process, "terminal")));
	ck_assert_uint_eq(json_object_size(json_object_get(process, "capabilities")), 0);
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_array_get(limits, 0), "hard")), 512);
	ck_assert_str_eq(text_at(json_array_get(limits, 1), "type"), "RLIMIT_CORE");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(limits, 1), "hard")), 0);
}
END_TEST

START_TEST(shows_the_view)
{
	view_add(&view, VIEW_TMP, 0, "/tmp", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/etc", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/etc/passwd", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/nonexistent", NULL, NULL);
	view_add(&view, VIEW_READ, 0, "/etc/shown", "/usr", NULL);
	view_add(&view, VIEW_WRITE, 0, "/var", NULL, NULL);
	view_add(&view, VIEW_READ, VIEW_OPTIONAL, "/nonexistent/too", NULL, NULL);
	make();
	ck_assert(json_is_true(json_object_get(json_object_get(config, "root"), "readonly")));
	is_mount("/tmp", "tmpfs", "tmpfs", "mode=1777");
	is_mount("/etc", "tmpfs", "tmpfs", "mode=0755");
	is_mount("/etc/passwd", "bind", "/run/box/empty", "ro");
	is_mount("/etc/shown", "bind", "/usr", "ro");
	is_mount("/var", "bind", "/var", "rw");
	ck_assert_ptr_null(mount_at("/nonexistent"));
	ck_assert_ptr_null(mount_at("/nonexistent/too"));
}
END_TEST

/* Nothing of the machine's /proc, /sys and /dev gets in. */
START_TEST(has_a_kernel_of_its_own)
{
	view_add(&view, VIEW_DEV, 0, "/dev", NULL, NULL);
	view_add(&view, VIEW_PROC, 0, "/proc", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/proc/kcore", NULL, NULL);
	view_add(&view, VIEW_READ, 0, "/sys/fs/cgroup", "/sys/fs/cgroup", NULL);
	view_add(&view, VIEW_WRITE, 0, "/dev/null", NULL, NULL);
	view_add(&view, VIEW_WRITE, 0, "/device", "/usr", NULL);
	view_add(&view, VIEW_WRITE, 0, "/dev/shm/run/sockets", "/usr", NULL);
	make();
	ck_assert_str_eq(text_at(mount_at("/proc"), "type"), "proc");
	ck_assert_str_eq(text_at(mount_at("/sys"), "type"), "sysfs");
	ck_assert_str_eq(text_at(mount_at("/dev"), "type"), "tmpfs");
	ck_assert_ptr_null(mount_at("/proc/kcore"));
	ck_assert_ptr_null(mount_at("/sys/fs/cgroup"));
	ck_assert_ptr_null(mount_at("/dev/null"));
	ck_assert_ptr_nonnull(mount_at("/device"));
	is_mount("/dev/shm/run/sockets", "bind", "/usr", "rw");
}
END_TEST

START_TEST(says_what_is_missing)
{
	struct sandbox_bundle made;
	struct ten_error err;

	view_add(&view, VIEW_READ, 0, "/shown", "/nonexistent", "read_only_paths");
	made = bundle();
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	ck_assert_str_eq(err.text, "read_only_paths: /nonexistent: No such file or directory");
	view_clear(&view);
	view_add(&view, VIEW_READ, VIEW_ASKED, "/nonexistent", "/usr", "mounts");
	made = bundle();
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	ck_assert_str_eq(
		err.text, "mounts: there is no place for /nonexistent: No such file or directory");
}
END_TEST

/* Also where a link leads there, and where it lies below what is shown in another place. */
START_TEST(refuses_what_is_kept)
{
	static char *kept[] = { "/usr/bin", NULL };
	static const struct {
		const char *destination, *source;
		bool refused;
	} rows[] = {
		{ "/usr/bin", "/usr/bin", true },
		{ "/usr/bin/env", "/usr/bin/env", true },
		{ "/tools", "/proc/self/root/usr/bin", true },
		{ "/everything", "/usr", true },
		{ "/usr", "/usr", false },
		{ "/sbin", "/usr/sbin", false },
		{ "/etc", "/usr/lib", false },
	};
	struct sandbox_bundle made;
	struct ten_error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		autofree char *text = NULL;

		view_clear(&view);
		view_add(&view, VIEW_READ, VIEW_ASKED, rows[i].destination, rows[i].source,
			"mounts");
		made = bundle();
		made.kept = kept;
		text = sandbox_bundle_config(&made, &err);
		ck_assert_msg(!text == rows[i].refused, "%s", rows[i].destination);
		if (!text)
			ck_assert_ptr_nonnull(strstr(err.text, "/usr/bin, which is kept"));
	}
}
END_TEST

START_TEST(refuses_what_json_cannot_say)
{
	static char *bad[] = { "A=\xff", NULL };
	struct sandbox_bundle made = bundle();
	struct ten_error err;

	made.env = bad;
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	made = bundle();
	made.argv = bad;
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	made = bundle();
	made.workdir = *bad;
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "UTF-8"));
	made = bundle();
	view_add(&view, VIEW_WRITE, 0, "/\xff", "/usr", NULL);
	ck_assert_ptr_null(sandbox_bundle_config(&made, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "UTF-8"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox_bundle");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, NULL, teardown);
	tcase_add_test(all, says_what_to_run);
	tcase_add_test(all, shows_the_view);
	tcase_add_test(all, has_a_kernel_of_its_own);
	tcase_add_test(all, says_what_is_missing);
	tcase_add_test(all, refuses_what_is_kept);
	tcase_add_test(all, refuses_what_json_cannot_say);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

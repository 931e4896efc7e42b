#include <check.h>
#include <stdlib.h>

#include "cgroup_place.h"

#define HYBRID                                                                                     \
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"                      \
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"              \
	"37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer\n"    \
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
#define PURE  "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define PART  "700 690 0:26 /docker/ab12 /sys/fs/cgroup ro,nosuid master:4 - cgroup2 cgroup rw\n"
#define BLANK "30 23 0:26 / /mnt/my\\040groups\\134x rw - cgroup2 none rw\n"

static const struct row {
	const char *mountinfo, *cgroup, *unified, *freezer;
} rows[] = {
	{ HYBRID, "6:freezer:/\n1:name=systemd:/\n0::/\n", "/sys/fs/cgroup/unified",
		"/sys/fs/cgroup/freezer" },
	{ HYBRID, "6:freezer:/a\n4:memory:/b\n0::/c d\n", "/sys/fs/cgroup/unified/c d",
		"/sys/fs/cgroup/freezer/a" },
	{ PURE, "0::/system.slice/tenement.service\n",
		"/sys/fs/cgroup/system.slice/tenement.service", NULL },
	{ PURE, "0::/system.slice/tenement.service", "/sys/fs/cgroup/system.slice/tenement.service",
		NULL },
	/* A path of a named hierarchy is none of the freezer's. */
	{ HYBRID, "6:name=freezer:/x\n", NULL, NULL },
	{ HYBRID, "6:freezers,afreezer:/x\n", NULL, NULL },
	{ HYBRID, "6:blkio,freezer,pids:/x\n", NULL, "/sys/fs/cgroup/freezer/x" },
	/* A part of the hierarchy is mounted, or we are outside of our namespace. */
	{ PART, "0::/docker/ab12/app\n", "/sys/fs/cgroup/app", NULL },
	{ PART, "0::/docker/ab12\n", "/sys/fs/cgroup", NULL },
	{ PART, "0::/docker/ab123\n", NULL, NULL },
	{ PART, "0::/\n", NULL, NULL },
	{ PURE, "0::/../other\n", NULL, NULL },
	{ BLANK, "0::/t\n", "/mnt/my groups\\x/t", NULL },
	/* Nonsense. */
	{ "", "0::/\n", NULL, NULL },
	{ PURE, "", NULL, NULL },
	{ PURE, "0\n::\n:\n", NULL, NULL },
	{ " - \n - cgroup2\n1 2 3 4 5 6 - \n\n", "0::/\n", NULL, NULL },
	{ "1 2 3 / /x\\04 rw - cgroup2 a b", "0::/\n", "/x\\04", NULL },
};

START_TEST(places)
{
	const struct row *row = &rows[_i];
	struct cgroup_place place;

	cgroup_place_find(row->mountinfo, row->cgroup, &place);
	ck_assert_pstr_eq(place.unified, row->unified);
	ck_assert_pstr_eq(place.freezer, row->freezer);
	cgroup_place_clear(&place);
	ck_assert_ptr_null(place.unified);
}
END_TEST

START_TEST(names)
{
	const char *cgroup = "6:freezer:/\n0::/system.slice/x.service/tenement-1/notes:alice.3\n";

	ck_assert(cgroup_place_is(cgroup, "notes:alice.3"));
	ck_assert(!cgroup_place_is(cgroup, "notes:alice.33"));
	ck_assert(!cgroup_place_is(cgroup, "alice.3"));
	ck_assert(!cgroup_place_is("", "x"));
	ck_assert(cgroup_place_is("0::/x", "x"));
	/* It may have made groups of its own below. */
	ck_assert(cgroup_place_is("0::/tenement-1/a:b.1/inner/most\n", "a:b.1"));
	ck_assert(!cgroup_place_is("0::/tenement-1/a:b.12/a:b.1x/\n1:cpu:/\n", "a:b.1"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup_place");
	TCase *tcase = tcase_create("cgroup_place");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, places, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tcase, names);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

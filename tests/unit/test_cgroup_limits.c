/* A tenant's limits in the words of the kernel's files. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_limits.h"
#include "option_value.h"
#include "text.h"

static struct service_values values;

static void setup(void)
{
	options_set_defaults(OPTION_SERVICE, &values);
}

static void teardown(void)
{
	options_clear(OPTION_SERVICE, &values);
}

/* All files of RESOURCE as "file=value", one behind the other; of those that bound with a "!". */
static void check(enum cgroup_resource resource, unsigned version, uint64_t boost, const char *disk,
	const char *expected)
{
	struct cgroup_limit files[CGROUP_LIMIT_FILES];
	struct cgroup_limits limits;
	struct text text = { 0 };
	size_t count;

	cgroup_limits_of(&values, boost, &limits);
	count = cgroup_limits_spell(&limits, resource, version, disk, files);
	for (size_t i = 0; i < count; i++) {
		const struct option *option = option_find(OPTION_SERVICE, files[i].option);

		ck_assert_ptr_nonnull(option);
		ck_assert_int_eq(option->change, OPTION_LIVE);
		text_printf(&text, "%s%s%s=%s", i ? "; " : "", files[i].bounds ? "!" : "",
			files[i].file, files[i].value);
	}
	ck_assert_str_eq(text.data, expected);
	text_free(&text);
}

START_TEST(memory)
{
	check(CGROUP_OF_MEMORY, 2, 0, "",
		"!memory.high=251658240; !memory.max=268435456; memory.swap.max=max");
	check(CGROUP_OF_MEMORY, 1, 0, "",
		"!memory.limit_in_bytes=268435456; memory.memsw.limit_in_bytes=-1");
	values.memory_limit_mb = 64;
	values.swap_limit_mb = 0;
	check(CGROUP_OF_MEMORY, 2, 0, "",
		"!memory.high=62914560; !memory.max=67108864; !memory.swap.max=0");
	check(CGROUP_OF_MEMORY, 1, 0, "",
		"!memory.limit_in_bytes=67108864; !memory.memsw.limit_in_bytes=67108864");
	values.swap_limit_mb = 32;
	check(CGROUP_OF_MEMORY, 1, 0, "",
		"!memory.limit_in_bytes=67108864; !memory.memsw.limit_in_bytes=100663296");
	values.memory_limit_mb = 0;
	check(CGROUP_OF_MEMORY, 2, 0, "",
		"memory.high=max; memory.max=max; !memory.swap.max=33554432");
	check(CGROUP_OF_MEMORY, 1, 0, "",
		"memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1");
	values.memory_limit_mb = 100000000;
	check(CGROUP_OF_MEMORY, 2, 0, "",
		"!memory.high=104857583222784; !memory.max=104857600000000; "
		"!memory.swap.max=33554432");
}
END_TEST

START_TEST(cpu)
{
	check(CGROUP_OF_CPU, 2, 0, "", "!cpu.weight=100; cpu.max=max 100000");
	check(CGROUP_OF_CPU, 1, 0, "", "!cpu.shares=1024; cpu.cfs_quota_us=-1");
	values.cpu_shares = 1;
	values.cpu_limit = 50;
	check(CGROUP_OF_CPU, 2, 0, "", "!cpu.weight=1; !cpu.max=50000 100000");
	check(CGROUP_OF_CPU, 1, 1, "", "!cpu.shares=10; !cpu.cfs_quota_us=50000");
	check(CGROUP_OF_CPU, 2, 4, "", "!cpu.weight=4; !cpu.max=200000 100000");
	values.cpu_limit = 1; /* the least that the kernel takes */
	check(CGROUP_OF_CPU, 2, 0, "", "!cpu.weight=1; !cpu.max=1000 100000");
	values.cpu_shares = 10000;
	values.cpu_limit = 102400;
	check(CGROUP_OF_CPU, 2, 100, "", "!cpu.weight=10000; !cpu.max=10240000000 100000");
	check(CGROUP_OF_CPU, 1, 0, "", "!cpu.shares=102400; !cpu.cfs_quota_us=102400000");
}
END_TEST

START_TEST(pids)
{
	check(CGROUP_OF_PIDS, 2, 0, "", "pids.max=max");
	values.pids_limit = 20;
	check(CGROUP_OF_PIDS, 1, 0, "", "!pids.max=20");
}
END_TEST

START_TEST(io)
{
	check(CGROUP_OF_IO, 2, 0, "", "io.weight=default 100; io.bfq.weight=100");
	check(CGROUP_OF_IO, 2, 0, "8:0",
		"io.weight=default 100; io.bfq.weight=100; io.max=8:0 rbps=max wbps=max");
	check(CGROUP_OF_IO, 1, 0, "8:0",
		"blkio.bfq.weight=100; blkio.throttle.read_bps_device=8:0 0; "
		"blkio.throttle.write_bps_device=8:0 0");
	values.io_weight = 10000;
	values.io_max_mb_per_second = 5;
	check(CGROUP_OF_IO, 2, 0, "8:0",
		"io.weight=default 10000; io.bfq.weight=1000; "
		"!io.max=8:0 rbps=5242880 wbps=5242880");
	values.io_weight = 7;
	check(CGROUP_OF_IO, 1, 0, "254:16",
		"blkio.bfq.weight=7; !blkio.throttle.read_bps_device=254:16 5242880; "
		"!blkio.throttle.write_bps_device=254:16 5242880");
}
END_TEST

START_TEST(asked)
{
	struct cgroup_limits limits;

	cgroup_limits_of(&values, 0, &limits);
	ck_assert(!cgroup_limits_asked(&limits));
	values.memory_limit_mb = 0;
	cgroup_limits_of(&values, 0, &limits);
	ck_assert(!cgroup_limits_asked(&limits));
	values.memory_limit_mb = 255;
	cgroup_limits_of(&values, 0, &limits);
	ck_assert(cgroup_limits_asked(&limits));
	values.memory_limit_mb = 256;
	values.pids_limit = 1;
	cgroup_limits_of(&values, 0, &limits);
	ck_assert(cgroup_limits_asked(&limits));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup_limits");
	TCase *tcase = tcase_create("limits");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, memory);
	tcase_add_test(tcase, cpu);
	tcase_add_test(tcase, pids);
	tcase_add_test(tcase, io);
	tcase_add_test(tcase, asked);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

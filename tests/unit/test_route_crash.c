/*
 * Writers of the routing table are killed at random moments, one after the other, while a reader
 * looks things up without pause: it must never see half a record, never miss what is always
 * there, and never hang.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_often.h"
#include "mem.h"
#include "route_rig.h"

#define KILLS            150
#define HOSTS            48  /* always there */
#define PASSERS_BY       400 /* hosts that come and go */
#define INSTANCES        12
#define DEADLINE_SECONDS 20
#define VERSIONS         1000000

/* What the processes tell each other. */
struct shared {
	_Atomic uint64_t acknowledged; /* by the reader */
	_Atomic uint64_t looks;        /* whole rounds of the reader */
	_Atomic uint64_t written;      /* changes, by all writers */
	_Atomic uint64_t attached;     /* writers that got so far */
	_Atomic bool failed;
	char failure[256];
};

static struct shared *shared;
static struct route_target targets[INSTANCES];
static int fd;

static void report(const char *what, const char *of, long version)
{
	snprintf(shared->failure, sizeof(shared->failure), "%s %s: %ld", what, of, version);
	atomic_store(&shared->failed, true);
	_exit(EXIT_FAILURE);
}

static const char *numbered(const char *what, int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s-%d.localhost", what, i);
	return name;
}

/* ---- the reader: a worker that acknowledges after each round ---- */

static void look_at_all(const struct route_table *table)
{
	long version;

	for (int i = 0; i < HOSTS; i++) {
		version = rig_host_version(table, numbered("host", i));
		if (version < 0)
			report("host", numbered("host", i), version);
	}
	for (int i = 0; i < PASSERS_BY; i++) {
		version = rig_host_version(table, numbered("passer", i));
		if (version == RIG_DAMAGED)
			report("passer-by", numbered("passer", i), version);
	}
	for (int i = 0; i < INSTANCES; i++) {
		version = rig_instance_version(table, targets[i], "notes:x");
		if (version < 0)
			report("instance", numbered("instance", i), version);
	}
	version = rig_settings_version(table);
	if (version < 0)
		report("settings", "", version);
}

static void read_for_ever(void)
{
	struct route_table *table;
	struct ten_error err;

	if (route_table_open(&table, fd, &err) < 0)
		report("open", err.text, 0);
	for (;;) {
		uint64_t generation = route_table_generation(table);

		if (generation < atomic_load(&shared->acknowledged))
			report("generation", "went back", (long)generation);
		look_at_all(table);
		atomic_store(&shared->acknowledged, generation);
		atomic_fetch_add(&shared->looks, 1);
	}
}

/* ---- a writer: takes over and changes everything, until it is killed ---- */

static void change_something(struct route_table *table)
{
	long version = random() % VERSIONS;
	struct ten_error err = { 0 };
	struct route_target target;
	const char *passer;
	int rc = 0;

	switch (random() % 8) {
	case 0:
	case 1:
		rc = rig_put_host(table, numbered("host", (int)(random() % HOSTS)), version, &err);
		break;
	case 2:
	case 3:
		passer = numbered("passer", (int)(random() % PASSERS_BY));
		rc = rig_put_host(table, passer, version, &err);
		break;
	case 4:
		route_table_remove_host(table, numbered("passer", (int)(random() % PASSERS_BY)));
		break;
	case 5:
		rc = rig_put_instance(
			table, targets[random() % INSTANCES], "notes:x", version, &err);
		break;
	case 6:
		rc = route_table_slot_take(table, &target, &err);
		if (rc == 0)
			rc = rig_put_instance(table, target, "notes:x", version, &err);
		if (rc == 0)
			route_table_slot_give_back(table, target);
		break;
	case 7:
		rc = rig_put_settings(table, version, &err);
		break;
	}
	if (rc < 0)
		report("write", err.text, version);
}

/* Now and then most of the passers-by go, so that the next index is smaller. */
static void clear_out(struct route_table *table)
{
	for (int i = 0; i < PASSERS_BY; i++)
		route_table_remove_host(table, numbered("passer", i));
}

static void write_for_ever(unsigned seed)
{
	struct route_table *table;
	struct ten_error err;

	srandom(seed);
	if (route_table_attach(&table, fd, &err) < 0)
		report("attach", err.text, 0);
	atomic_fetch_add(&shared->attached, 1);
	for (;;) {
		for (int i = 0; i < 8; i++)
			change_something(table);
		if (random() % 64 == 0)
			clear_out(table);
		route_table_seal_generation(table);
		route_table_reclaim(table, atomic_load(&shared->acknowledged));
		atomic_fetch_add(&shared->written, 8);
	}
}

static pid_t start(void (*run)(unsigned), unsigned seed)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(seed);
	}
	return child;
}

static void run_reader(unsigned seed)
{
	(void)seed;
	read_for_ever();
}

/* ---- the test ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Until *COUNTER is at least LEAST. */
static void wait_for(const _Atomic uint64_t *counter, uint64_t least, const char *what)
{
	uint64_t deadline = now_us() + DEADLINE_SECONDS * 1000000ull;
	struct timespec moment = { .tv_nsec = 50000 };

	while (atomic_load(counter) < least) {
		ck_assert_msg(!atomic_load(&shared->failed), "%s", shared->failure);
		ck_assert_msg(
			now_us() < deadline, "%s: no progress in %d s", what, DEADLINE_SECONDS);
		nanosleep(&moment, NULL);
	}
}

static void fill(void)
{
	struct route_table *table;
	struct ten_error err;

	ck_assert_msg(route_table_create(&table, &fd, &err) == 0, "%s", err.text);
	for (int i = 0; i < HOSTS; i++)
		ck_assert_int_eq(rig_put_host(table, numbered("host", i), i, &err), 0);
	for (int i = 0; i < INSTANCES; i++) {
		ck_assert_int_eq(route_table_slot_take(table, &targets[i], &err), 0);
		ck_assert_int_eq(rig_put_instance(table, targets[i], "notes:x", i, &err), 0);
	}
	ck_assert_int_eq(rig_put_settings(table, 0, &err), 0);
	route_table_seal_generation(table);
	route_table_close(table);
}

struct census {
	unsigned hosts, passers;
};

static void count(void *data, const char *name)
{
	struct census *census = data;

	if (strncmp(name, "host-", 5) == 0)
		census->hosts++;
	else if (strncmp(name, "passer-", 7) == 0)
		census->passers++;
	else
		ck_abort_msg("unknown host %s", name);
}

/* A killed writer leaves every name that must be, each once. */
static void take_census(void)
{
	struct census census = { 0 };
	struct route_table *table;
	struct ten_error err;

	ck_assert_msg(route_table_open(&table, fd, &err) == 0, "%s", err.text);
	route_table_each_host(table, count, &census);
	ck_assert_uint_eq(census.hosts, HOSTS);
	ck_assert_uint_le(census.passers, PASSERS_BY);
	route_table_close(table);
}

static void kill_and_wait(pid_t child)
{
	int status;

	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s",
		atomic_load(&shared->failed) ? shared->failure : "it ended by itself");
}

START_TEST(killed_at_random)
{
	uint64_t looks;
	pid_t reader;

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	fill();
	srandom(20);
	reader = start(run_reader, 0);
	wait_for(&shared->looks, 1, "reader");
	for (unsigned i = 0; i < KILLS; i++) {
		uint64_t attached = atomic_load(&shared->attached);
		uint64_t written = atomic_load(&shared->written);
		struct timespec moment = { .tv_nsec = random() % 3000000 };
		pid_t writer = start(write_for_ever, i);

		/* Every third is killed whenever it comes, be it while it takes over. */
		if (i % 3) {
			wait_for(&shared->attached, attached + 1, "attach");
			wait_for(&shared->written, written + 1, "writer");
		}
		nanosleep(&moment, NULL);
		kill_and_wait(writer);
		take_census();
		/* Nobody waits for the dead. */
		looks = atomic_load(&shared->looks);
		wait_for(&shared->looks, looks + 2, "reader");
	}
	kill_and_wait(reader);
	ck_assert_msg(!atomic_load(&shared->failed), "%s", shared->failure);
	ck_assert_uint_ge(atomic_load(&shared->attached), KILLS * 2 / 3);
	munmap(shared, sizeof(*shared));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route_crash");
	TCase *tests = tcase_create("route_crash");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, killed_at_random);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * A writer is killed between any two steps of publishing: it is single-stepped through every kind
 * of change, and wherever the shared memory differs from what it was an instruction before,
 *	- every look-up of a reader must give the whole old or the whole new record, and
 *	- a writer that takes over a copy of the memory as it is there must see the same, find the
 *	  memory sound, and be able to go on: what it writes from then on must not meet what lives.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_often.h"
#include "mem.h"
#include "route_layout.h"
#include "route_rig.h"

#define HOSTS       190 /* "host-N.localhost"; how many there are depends on the scenario */
#define SLOTS       6   /* incarnations 1 and 2 of each are looked at */
#define ANSWERS     (HOSTS + 2 * SLOTS + 2)
#define CHURN       24
#define SLOT_BYTES  4096 /* of the slots, what is compared and copied */
#define ARENA_BYTES (512u << 10)
#define IMAGE_BYTES (LAYOUT_HEADER + SLOT_BYTES + ARENA_BYTES)

struct scenario {
	const char *name;
	int hosts;             /* before it */
	void (*prepare)(void); /* after the hosts; NULL: nothing */
	void (*act)(void);     /* runs in the process that is stepped through */
	int changes;           /* answers that it must change in the end */
	int states_least;      /* how many different states of the memory it must pass at least */
};

struct answers {
	long version[ANSWERS];
};

static struct route_table *table;
static int fd;
static struct ten_error err;
static struct route_table *copy; /* of the memory, attached anew at each state */
static int copy_fd;
static unsigned char *copy_memory;

#define ok(call) ck_assert_msg((call) == 0, "%s", err.text)

static const char *host_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "host-%d.localhost", i);
	return name;
}

/* Everything that a reader can ask for. */
static void ask_all(const struct route_table *of, struct answers *answers)
{
	long *version = answers->version;

	for (int i = 0; i < HOSTS; i++)
		*version++ = rig_host_version(of, host_name(i));
	for (uint32_t i = 0; i < 2 * SLOTS; i++)
		*version++ = rig_instance_version(
			of, (struct route_target){ i / 2, 1 + i % 2 }, "notes:x");
	*version++ = rig_settings_version(of);
	*version++ = (long)route_table_generation(of);
}

static void turn_over(struct route_table *of)
{
	route_table_reclaim(of, route_table_seal_generation(of));
}

/* ---- the changes ---- */

static const struct route_target slot_0 = { 0, 1 };

static void replace_host(void)
{
	ok(rig_put_host(table, host_name(3), 1003, &err));
}

static void free_some(void)
{
	ok(rig_put_host(table, host_name(3), 2003, &err));
	ok(rig_put_host(table, host_name(3), 3, &err));
	turn_over(table);
}

static void add_host(void)
{
	ok(rig_put_host(table, host_name(189), 1189, &err));
}

static void remove_host(void)
{
	route_table_remove_host(table, host_name(5));
}

static void add_to_tombstones(void)
{
	for (int i = 100; i < 179; i++)
		route_table_remove_host(table, host_name(i));
	turn_over(table);
}

static void replace_instance(void)
{
	ok(rig_put_instance(table, slot_0, "notes:x", 1000, &err));
}

static void new_instance(void)
{
	struct route_target target;

	ok(route_table_slot_take(table, &target, &err));
	ok(rig_put_instance(table, target, "notes:x", 1001, &err));
	route_table_set_state(table, target, INSTANCE_READY);
}

static void give_back(void)
{
	route_table_slot_give_back(table, slot_0);
}

static void give_back_before(void)
{
	give_back();
	turn_over(table);
}

static void replace_settings(void)
{
	ok(rig_put_settings(table, 1000, &err));
}

static void seal(void)
{
	turn_over(table);
}

static void change_then_leave(void)
{
	replace_host();
	give_back();
	ok(route_table_slot_take(table, &(struct route_target){ 0 }, &err));
	route_table_close(table);
}

static void attach(void)
{
	ok(route_table_attach(&table, fd, &err));
}

static void attach_and_go_on(void)
{
	attach();
	turn_over(table);
	new_instance();
	ok(rig_put_host(table, host_name(4), 1004, &err));
	turn_over(table);
}

static const struct scenario scenarios[] = {
	{ "replace a host", 12, NULL, replace_host, 1, 4 },
	{ "replace a host in used memory", 12, free_some, replace_host, 1, 4 },
	{ "add a host", 12, NULL, add_host, 1, 4 },
	{ "add a host and grow the index", 179, NULL, add_host, 1, 150 },
	{ "add a host and sweep the index", 179, add_to_tombstones, add_host, 1, 100 },
	{ "remove a host", 12, NULL, remove_host, 1, 1 },
	{ "replace an instance", 12, NULL, replace_instance, 1, 4 },
	{ "new instance in a new slot", 12, NULL, new_instance, 1, 4 },
	{ "new instance in a used slot", 12, give_back_before, new_instance, 1, 4 },
	{ "give a slot back", 12, NULL, give_back, 1, 2 },
	{ "replace the settings", 12, NULL, replace_settings, 1, 4 },
	{ "seal a generation", 12, replace_host, seal, 1, 1 },
	{ "attach", 12, change_then_leave, attach, 0, 1 },
	{ "attach and go on", 12, change_then_leave, attach_and_go_on, 4, 10 },
};

/* ---- the look at one state of the memory ---- */

/* Records of the sizes that those before had, so that they are put where those were. */
static void churn(struct route_target *taken, int from, int to)
{
	char name[32];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "churn-%d.localhost", i);
		ok(rig_put_host(copy, name, i % 12, &err));
		ok(route_table_slot_take(copy, &taken[i], &err));
		ok(rig_put_instance(copy, taken[i], "notes:x", i % 3, &err));
		if (i % 4 == 3)
			ok(rig_put_settings(copy, i, &err));
	}
	turn_over(copy);
}

static bool is_taken(const struct route_target *taken, int answer)
{
	for (int i = 0; i < CHURN && answer >= HOSTS; i++) {
		if (taken[i].slot == (uint32_t)(answer - HOSTS) / 2 &&
			taken[i].incarnation == 1 + (uint32_t)(answer - HOSTS) % 2)
			return true;
	}
	return false;
}

/* Use all that is free in the copy, twice, for what the first time retires is used the second
 * time; then see that nothing of what lives was among it. */
static void go_on(const struct answers *before)
{
	struct route_target taken[CHURN];
	struct answers after;
	char name[32];

	turn_over(copy);
	churn(taken, 0, CHURN / 2);
	churn(taken, CHURN / 2, CHURN);
	for (int i = 0; i < CHURN; i++) {
		snprintf(name, sizeof(name), "churn-%d.localhost", i);
		ck_assert_int_eq(rig_host_version(copy, name), i % 12);
		ck_assert_int_eq(rig_instance_version(copy, taken[i], "notes:x"), i % 3);
	}
	ck_assert_int_eq(rig_settings_version(copy), CHURN - 1);
	ask_all(copy, &after);
	for (int i = 0; i < HOSTS + 2 * SLOTS; i++) {
		bool ours = is_taken(taken, i);

		ck_assert_msg(ours ? before->version[i] == RIG_NONE
				   : before->version[i] == after.version[i],
			"answer %d was %ld and is %ld%s", i, before->version[i], after.version[i],
			ours ? ", its slot is another's" : "");
	}
}

static void take_over(const unsigned char *image, const struct answers *seen)
{
	struct answers mine;

	memcpy(copy_memory, image, IMAGE_BYTES - ARENA_BYTES);
	memcpy(copy_memory + LAYOUT_ARENA, image + IMAGE_BYTES - ARENA_BYTES, ARENA_BYTES);
	ok(route_table_attach(&copy, copy_fd, &err));
	ask_all(copy, &mine);
	for (int i = 0; i < ANSWERS; i++)
		ck_assert_msg(mine.version[i] == seen->version[i],
			"answer %d is %ld before and %ld after taking over", i, seen->version[i],
			mine.version[i]);
	go_on(&mine);
	route_table_close(copy);
}

/* True when the memory is not what IMAGE says; IMAGE says so from then on. */
static bool image_changed(unsigned char *image, const unsigned char *memory)
{
	size_t used = atomic_load(&((const struct layout_header *)memory)->arena_top);
	size_t arena = used - LAYOUT_ARENA;

	ck_assert_uint_le(arena, ARENA_BYTES - 64 * 1024);
	/* What is written ahead of the top is nobody's yet, but the next to be. */
	arena += 4096;
	if (memcmp(image, memory, IMAGE_BYTES - ARENA_BYTES) == 0 &&
		memcmp(image + IMAGE_BYTES - ARENA_BYTES, memory + LAYOUT_ARENA, arena) == 0)
		return false;
	memcpy(image, memory, IMAGE_BYTES - ARENA_BYTES);
	memcpy(image + IMAGE_BYTES - ARENA_BYTES, memory + LAYOUT_ARENA, arena);
	return true;
}

static void note_changes(struct answers *last, const struct answers *now, int *changes)
{
	for (int i = 0; i < ANSWERS; i++) {
		ck_assert_msg(now->version[i] != RIG_DAMAGED, "answer %d is half a record", i);
		if (now->version[i] != last->version[i])
			changes[i]++;
	}
	*last = *now;
}

/* ---- stepping ---- */

static pid_t start_stepped(const struct scenario *scenario)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		scenario->act();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSTOPPED(status), "status %x", status);
	return child;
}

/* One instruction; false when the process has ended. */
static bool step(pid_t child)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status)) {
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		return false;
	}
	ck_assert_msg(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "status %x", status);
	return true;
}

static void prepare(const struct scenario *scenario)
{
	struct route_target target;

	ok(route_table_create(&table, &fd, &err));
	for (int i = 0; i < scenario->hosts; i++)
		ok(rig_put_host(table, host_name(i), i, &err));
	for (int i = 0; i < 3; i++) {
		ok(route_table_slot_take(table, &target, &err));
		ok(rig_put_instance(table, target, "notes:x", i, &err));
	}
	ok(rig_put_settings(table, 1, &err));
	turn_over(table);
	if (scenario->prepare)
		scenario->prepare();
}

static void prepare_copy(void)
{
	struct route_table *unused;

	ok(route_table_create(&unused, &copy_fd, &err));
	route_table_close(unused);
	copy_memory = mmap(NULL, ROUTE_TABLE_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_NORESERVE, copy_fd, 0);
	ck_assert_ptr_ne(copy_memory, MAP_FAILED);
}

START_TEST(killed_anywhere)
{
	const struct scenario *scenario = &scenarios[_i];
	autofree unsigned char *image = mem_alloc(IMAGE_BYTES);
	int changes[ANSWERS] = { 0 }, changed = 0, states = 0, steps = 0;
	struct answers last, now;
	struct route_table *reader;
	pid_t child;

	prepare(scenario);
	prepare_copy();
	ok(route_table_open(&reader, fd, &err));
	image_changed(image, reader->base);
	ask_all(reader, &last);
	note_changes(&last, &last, changes);
	child = start_stepped(scenario);
	while (step(child)) {
		steps++;
		if (!image_changed(image, reader->base))
			continue;
		states++;
		ask_all(reader, &now);
		note_changes(&last, &now, changes);
		take_over(image, &now);
	}
	for (int i = 0; i < ANSWERS; i++) {
		ck_assert_msg(changes[i] <= 1 || i == ANSWERS - 1, "answer %d changed %d times", i,
			changes[i]);
		changed += changes[i];
	}
	ck_assert_msg(changed == scenario->changes, "%s: %d answers changed, not %d",
		scenario->name, changed, scenario->changes);
	ck_assert_msg(states >= scenario->states_least, "%s: only %d states in %d steps",
		scenario->name, states, steps);
	route_table_close(reader);
	munmap(copy_memory, ROUTE_TABLE_BYTES);
	close(copy_fd);
	close(fd);
}
END_TEST

/* Whether this machine lets us step through a child of ours. */
static bool may_step(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
		return false;
	if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0 || waitpid(child, &status, 0) < 0)
		return false;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return true;
}

int main(void)
{
	Suite *suite = suite_create("route_step");
	TCase *tests = tcase_create("route_step");
	SRunner *runner;
	int failed;

	if (!may_step()) {
		puts("skipped: this machine does not let us single-step a child (ptrace)");
		return 77;
	}
	runner = srunner_create(suite);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, killed_anywhere, 0, sizeof(scenarios) / sizeof(scenarios[0]));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

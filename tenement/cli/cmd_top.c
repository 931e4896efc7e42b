#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/instance.h"
#include "cli/table.h"
#include "common/clock.h"
#include "mem.h"

#define LIVE_MS      2000
#define ONCE_MS      1000
#define LINES_MAX    1000000
#define HEAD_LINES   3 /* above the tenants, and the last one of the screen */
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END   "\033[?25h\033[?1049l"
#define SCREEN_CLEAR "\033[H\033[J"

/* What can be sorted by: the flag's word, the key of the terminal, the member of the answer. */
static const struct order {
	const char *name;
	char key;
	const char *member;
} orders[] = {
	{ "cpu", 'c', "cpu_percent" },
	{ "memory", 'm', "memory_bytes" },
	{ "pids", 'p', "pids" },
	{ "read", 'r', "io_read_per_sec" },
	{ "written", 'w', "io_written_per_sec" },
	{ "requests", 'q', "requests_per_sec" },
	{ "in", 'i', "bytes_in_per_sec" },
	{ "out", 'o', "bytes_out_per_sec" },
	{ "tenant", 't', "id" },
};
#define ORDERS (sizeof(orders) / sizeof(*orders))

static const struct table_column columns[] = {
	{ .title = "TENANT" },
	{ .title = "STATE", .drop = 4 },
	{ .title = "CPU%", .right = true },
	{ .title = "MEMORY", .right = true },
	{ .title = "PEAK", .right = true, .drop = 3 },
	{ .title = "PIDS", .right = true, .drop = 5 },
	{ .title = "READ", .right = true, .drop = 6 },
	{ .title = "WRITTEN", .right = true, .drop = 7 },
	{ .title = "REQS", .right = true },
	{ .title = "IN", .right = true, .drop = 1 },
	{ .title = "OUT", .right = true, .drop = 2 },
	{ .title = "STORED", .right = true, .drop = 8 },
	{ .title = "UPTIME", .right = true, .drop = 9 },
};

static const struct order *order = &orders[0];
static volatile sig_atomic_t over;

static void on_signal(int number)
{
	(void)number;
	over = 1;
}

/* ---- what there is ---- */

static const json_t *find(const json_t *instances, const char *id)
{
	const json_t *instance;
	size_t i;

	json_array_foreach (instances, i, instance)
		if (strcmp(answer_text(instance, "id"), id) == 0)
			return instance;
	return NULL;
}

static void put_rate(json_t *instance, const json_t *before, double secs, const char *counter,
	const char *rate, double unit)
{
	int64_t was = answer_number(before, counter), is = answer_number(instance, counter);

	json_object_set_new(instance, rate,
		before && was >= 0 && is >= was && secs > 0
			? json_real((double)(is - was) / secs / unit)
			: json_null());
}

/* What grew since BEFORE, per second. */
static void put_rates(const json_t *answer, const json_t *before)
{
	double secs =
		(double)(answer_number(answer, "clock_ms") - answer_number(before, "clock_ms")) /
		1000;
	json_t *instance;
	size_t i;

	json_array_foreach (json_object_get(answer, "instances"), i, instance) {
		const json_t *old =
			find(answer_list(before, "instances"), answer_text(instance, "id"));

		put_rate(instance, old, secs, "cpu_usec", "cpu_percent", 1e4);
		put_rate(instance, old, secs, "io_read_bytes", "io_read_per_sec", 1);
		put_rate(instance, old, secs, "io_written_bytes", "io_written_per_sec", 1);
		put_rate(instance, old, secs, "requests", "requests_per_sec", 1);
		put_rate(instance, old, secs, "bytes_in", "bytes_in_per_sec", 1);
		put_rate(instance, old, secs, "bytes_out", "bytes_out_per_sec", 1);
	}
}

static int compare(const void *a, const void *b)
{
	const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
	const json_t *l = json_object_get(left, order->member);
	const json_t *r = json_object_get(right, order->member);
	double x = json_is_number(l) ? json_number_value(l) : -1;
	double y = json_is_number(r) ? json_number_value(r) : -1;

	if (x != y)
		return x < y ? 1 : -1;
	return strcmp(answer_text(left, "id"), answer_text(right, "id"));
}

/* Whether WHICH, a tenant or a service, means ID. */
static bool is_meant(const char *which, const char *id)
{
	size_t len = strlen(which);

	return strncmp(id, which, len) == 0 && (!id[len] || id[len] == ':');
}

/* A list of at most MOST that are meant, in order. */
static json_t *pick(const struct cli *cli, const json_t *answer, size_t most)
{
	const json_t *all = answer_list(answer, "instances");
	autofree json_t **sorted = mem_alloc((json_array_size(all) + 1) * sizeof(*sorted));
	json_t *list = json_array(), *instance;
	size_t count = 0, i;

	json_array_foreach (all, i, instance)
		if (!cli->arg_count || is_meant(cli->args[0], answer_text(instance, "id")))
			sorted[count++] = instance;
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare);
	for (i = 0; i < count && i < most; i++)
		json_array_append(list, sorted[i]);
	return list;
}

/* ---- how it is shown ---- */

static void add_bytes(struct table *table, const json_t *instance, const char *key)
{
	char text[HUMAN_MAX];

	human_bytes(answer_number(instance, key), text);
	table_cell(table, text);
}

static void add_number(struct table *table, const json_t *instance, const char *key, int digits)
{
	const json_t *value = json_object_get(instance, key);

	if (json_is_number(value))
		table_cellf(table, "%.*f", digits, json_number_value(value));
	else
		table_cell(table, "-");
}

static void add_instance(struct table *table, const json_t *instance)
{
	const char *state = answer_text(instance, "state");
	char age[HUMAN_MAX];

	human_age(answer_number(instance, "uptime_secs"), age);
	table_row(table);
	table_cell(table, answer_text(instance, "id"));
	table_cell_styled(table, instance_style(state), state);
	add_number(table, instance, "cpu_percent", 1);
	add_bytes(table, instance, "memory_bytes");
	add_bytes(table, instance, "memory_peak_bytes");
	add_number(table, instance, "pids", 0);
	add_bytes(table, instance, "io_read_per_sec");
	add_bytes(table, instance, "io_written_per_sec");
	add_number(table, instance, "requests_per_sec", 1);
	add_bytes(table, instance, "bytes_in_per_sec");
	add_bytes(table, instance, "bytes_out_per_sec");
	add_bytes(table, instance, "stored_bytes");
	table_cell(table, age);
}

static void print_list(const struct cli *cli, const json_t *list)
{
	struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	const json_t *instance;
	size_t i;

	json_array_foreach (list, i, instance) {
		if (cli->quiet)
			puts(answer_text(instance, "id"));
		else
			add_instance(table, instance);
	}
	if (!cli->quiet && json_array_size(list))
		table_print(table, &cli->term);
	else if (!cli->quiet)
		puts("No tenants run.");
	table_free(table);
}

/* ---- once ---- */

static void pause_for(int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

static int show_once(struct cli *cli, size_t most)
{
	autojson json_t *before = NULL, *answer = NULL, *list = NULL;
	int code = client_get(cli, "/api/top", &before);

	if (code)
		return code;
	pause_for(ONCE_MS);
	code = client_get(cli, "/api/top", &answer);
	if (code)
		return code;
	put_rates(answer, before);
	list = pick(cli, answer, most);
	if (cli->json) {
		json_object_set(answer, "instances", list);
		answer_print(answer);
	} else {
		print_list(cli, list);
	}
	return CLI_DONE;
}

/* ---- again and again ---- */

static size_t screen_lines(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > HEAD_LINES
		       ? size.ws_row - HEAD_LINES
		       : 20;
}

static void draw(struct cli *cli, const json_t *answer, size_t most)
{
	size_t lines = screen_lines();
	autojson json_t *list = pick(cli, answer, lines < most ? lines : most);

	/* (its width may have changed) */
	term_init(&cli->term, cli->flags.value[FLAG_NO_COLOR] != NULL);
	fputs(SCREEN_CLEAR, stdout);
	printf("%zu running, by %s (c m p r w q i o t; x ends)\n",
		answer_count(answer, "instances"), order->name);
	print_list(cli, list);
	fflush(stdout);
}

/* What KEY asks for. */
static void obey(char key)
{
	if (key == 'x')
		over = 1;
	for (size_t i = 0; i < ORDERS; i++)
		if (orders[i].key == key)
			order = &orders[i];
}

/* Keys, until the next picture is due. */
static void hear(struct cli *cli, const json_t *answer, size_t most)
{
	int64_t until = (int64_t)clock_ms(CLOCK_MONOTONIC) + LIVE_MS, left;
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	while (!over && (left = until - (int64_t)clock_ms(CLOCK_MONOTONIC)) > 0) {
		if (poll(&keys, 1, (int)left) <= 0)
			continue;
		/* Where nothing can be typed, it goes on. */
		if (read(STDIN_FILENO, &key, 1) != 1) {
			keys.fd = -1;
			continue;
		}
		obey(key);
		draw(cli, answer, most);
	}
}

static int show_again(struct cli *cli, size_t most)
{
	json_t *before = NULL;
	int code = CLI_DONE;

	while (!over) {
		json_t *answer = NULL;

		code = client_get(cli, "/api/top", &answer);
		if (code)
			break;
		put_rates(answer, before);
		draw(cli, answer, most);
		json_decref(before);
		before = answer;
		hear(cli, answer, most);
	}
	json_decref(before);
	return code;
}

static int show_live(struct cli *cli, size_t most)
{
	struct sigaction end = { .sa_handler = on_signal };
	struct termios was, raw;
	bool typed = tcgetattr(STDIN_FILENO, &was) == 0;
	int code;

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	if (typed) {
		raw = was;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(SCREEN_BEGIN, stdout);
	code = show_again(cli, most);
	fputs(SCREEN_END, stdout);
	fflush(stdout);
	if (typed)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	return code;
}

static int parse_order(const struct cli *cli)
{
	const char *wanted = cli->flags.value[FLAG_SORT];

	for (size_t i = 0; wanted && i < ORDERS; i++)
		if (strcmp(orders[i].name, wanted) == 0) {
			order = &orders[i];
			return CLI_DONE;
		}
	return wanted ? cli_usage(cli,
				"--sort %s: it is cpu, memory, pids, read, written, requests, in, "
				"out or tenant",
				wanted)
		      : CLI_DONE;
}

int cmd_top(struct cli *cli)
{
	const char *lines = cli->flags.value[FLAG_LINES];
	long most = LINES_MAX;
	int code = parse_order(cli);

	if (code)
		return code;
	if (lines && cli_number(lines, 1, LINES_MAX, &most) < 0)
		return cli_usage(cli, "-n %s: not a number from 1 to %d", lines, LINES_MAX);
	if (cli->json || cli->quiet || cli->flags.value[FLAG_ONCE] || !cli->term.out_is_terminal)
		return show_once(cli, (size_t)most);
	return show_live(cli, (size_t)most);
}

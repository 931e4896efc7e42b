/*
 * GET /metrics. With very many tenants the text takes longer to make than the loop may stand still:
 * it is made a piece with each turn, and sent as it is made, no faster than it is read.
 */
#include <stdlib.h>

#include "daemon/control_connection.h"
#include "daemon/endpoints.h"
#include "daemon/metrics_families.h"
#include "daemon/metrics_rows.h"
#include "daemon/metrics_server.h"
#include "daemon/wake_times.h"
#include "mem.h"
#include "metrics.h"

#define PIECE_SECONDS 0.001
#define PAUSE_SECONDS 0.001 /* that others have between two pieces */
#define PIECE_BYTES   65536
#define AHEAD_BYTES   262144 /* that are not read yet: no more is made */
#define MOST_SECONDS  120.0
#define SCRAPES_MAX   8
#define ROWS_AT_ONCE  32

static unsigned scrapes;

struct scrape {
	struct daemon *daemon;
	struct control_connection *connection;
	ev_timer timer;
	double began;
	struct metrics_rows *rows;
	bool rows_are_read;
	struct metrics_out out;
	struct text text;
	/* where it is */
	size_t family;
	bool of_tenants;
	size_t row;
	bool begun;
};

static void scrape_free(void *data)
{
	struct scrape *scrape = data;

	scrapes--;
	ev_timer_stop(scrape->daemon->loop, &scrape->timer);
	metrics_rows_free(scrape->rows);
	text_free(&scrape->text);
	free(scrape);
}

/* Some rows of the present family. False: that was its last. */
static bool put_rows(
	struct scrape *scrape, enum metric metric, const struct metrics_row *rows, size_t count)
{
	unsigned left = ROWS_AT_ONCE;

	if (!scrape->begun)
		metrics_begin(&scrape->out, metric);
	scrape->begun = true;
	while (scrape->row < count && left--)
		metrics_families[scrape->family].put(&scrape->out, &rows[scrape->row++]);
	return scrape->row < count;
}

/* A bit of the text. False: it is whole. */
static bool put_some(struct scrape *scrape)
{
	const struct metrics_family *family = &metrics_families[scrape->family];
	enum metric metric = scrape->of_tenants ? family->instance : family->service;
	const struct metrics_row *rows;
	size_t count = scrape->of_tenants ? metrics_rows_tenants(scrape->rows, &rows)
					  : metrics_rows_services(scrape->rows, &rows);

	if (metric != METRIC_NONE && put_rows(scrape, metric, rows, count))
		return true;
	scrape->row = 0;
	scrape->begun = false;
	if (++scrape->family < metrics_family_count)
		return true;
	scrape->family = 0;
	if (scrape->of_tenants || !metrics_rows_has_tenants(scrape->rows)) {
		metrics_end(&scrape->out);
		return false;
	}
	scrape->of_tenants = true;
	return true;
}

static void read_rows(struct scrape *scrape)
{
	struct daemon *d = scrape->daemon;

	if (metrics_rows_read(d, scrape->rows, PIECE_SECONDS))
		return;
	scrape->rows_are_read = true;
	metrics_server_put(d, &scrape->out);
	metrics_processes_put(d, &scrape->out);
	wake_times_put(d, &scrape->out);
}

/* A piece of work. False: it is over, and SCRAPE is gone. */
static bool go_on(struct scrape *scrape)
{
	double until = daemon_now() + PIECE_SECONDS;
	struct control_connection *connection = scrape->connection;
	bool more = true;

	if (connection->out.len - connection->sent > AHEAD_BYTES) {
		if (daemon_now() - scrape->began < MOST_SECONDS)
			return true;
		connection->dead = true;
		return false;
	}
	if (!scrape->rows_are_read)
		read_rows(scrape);
	while (more && scrape->rows_are_read && scrape->text.len < PIECE_BYTES &&
		daemon_now() < until)
		more = put_some(scrape);
	if (!control_send(connection, scrape->text.data, scrape->text.len))
		return false;
	text_free(&scrape->text);
	if (!more)
		control_stream_end(connection);
	return more;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct scrape *scrape = timer->data;

	(void)events;
	if (!go_on(scrape))
		return;
	ev_timer_set(timer, PAUSE_SECONDS, 0.);
	ev_timer_start(loop, timer);
}

void control_metrics(struct control_call *call)
{
	struct daemon *d = call->d;
	bool per_tenant = config_set_settings(d->set)->metrics_per_tenant;
	struct scrape *scrape;
	char accept[1024];

	if (scrapes == SCRAPES_MAX) {
		control_refuse(call, 503, "%d others are reading /metrics", SCRAPES_MAX);
		return;
	}
	scrapes++;
	scrape = mem_alloc(sizeof(*scrape));
	scrape->daemon = d;
	scrape->began = daemon_now();
	scrape->rows = metrics_rows_begin(d, per_tenant ? METRICS_TENANTS : METRICS_SERVICES);
	scrape->out.text = &scrape->text;
	scrape->out.format = metrics_format_wanted(
		control_header(call, "accept", accept, sizeof(accept)) ? accept : NULL);
	control_stream(call, metrics_types[scrape->out.format], &scrape->connection);
	control_own(scrape->connection, scrape, scrape_free);
	ev_timer_init(&scrape->timer, on_timer, 0., 0.);
	scrape->timer.data = scrape;
	ev_timer_start(d->loop, &scrape->timer);
}

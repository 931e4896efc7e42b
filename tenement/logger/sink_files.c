#include "logger/sink_files.h"

#include <stdlib.h>

#include "mem.h"
#include "text.h"

#define SETTLE_SECONDS 2.0

struct sink_files {
	struct ev_loop *loop;
	struct log_store *store;
	struct text lines; /* of one tenant, since the last flush */
	ev_timer settle;   /* runs while a file owes a remark */
};

struct tenant {
	struct sink_files *all;
	struct log_file *file;
};

static void *open_tenant(void *all, const char *service, const char *id)
{
	struct sink_files *files = all;
	struct tenant *tenant = mem_alloc(sizeof(*tenant));

	tenant->all = files;
	tenant->file = log_store_file(files->store, service, id);
	return tenant;
}

static void flush(void *data)
{
	struct tenant *tenant = data;
	struct sink_files *files = tenant->all;

	if (files->lines.len)
		log_file_write(tenant->file, files->lines.data, files->lines.len);
	files->lines.len = 0;
	if (log_store_owes(files->store) && !ev_is_active(&files->settle))
		ev_timer_again(files->loop, &files->settle);
}

static void add_line(void *data, const struct log_line *line)
{
	struct tenant *tenant = data;

	log_line_format(&tenant->all->lines, line);
	if (tenant->all->lines.len >= LOG_STORE_BATCH_SIZE)
		flush(tenant);
}

static void close_tenant(void *data)
{
	struct tenant *tenant = data;

	log_file_release(tenant->file);
	free(tenant);
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sink_files *files = timer->data;

	(void)events;
	if (!log_store_settle(files->store))
		ev_timer_stop(loop, timer);
}

struct sink_files *sink_files_new(struct ev_loop *loop, struct log_store *store)
{
	struct sink_files *files = mem_alloc(sizeof(*files));

	files->loop = loop;
	files->store = store;
	ev_init(&files->settle, on_settle);
	files->settle.repeat = SETTLE_SECONDS;
	files->settle.data = files;
	return files;
}

void sink_files_free(struct sink_files *files)
{
	ev_timer_stop(files->loop, &files->settle);
	log_store_settle(files->store);
	text_free(&files->lines);
	free(files);
}

struct sink sink_files_sink(struct sink_files *files)
{
	return (struct sink){
		.to = LOG_TO_FILES,
		.all = files,
		.open = open_tenant,
		.line = add_line,
		.flush = flush,
		.close = close_tenant,
	};
}

/* /api/logs and /api/logs/stream: what tenants wrote. */
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/control_sse.h"
#include "daemon/describe.h"
#include "daemon/endpoints.h"
#include "daemon/instance.h"
#include "daemon/log_entry.h"
#include "daemon/log_reader.h"
#include "log_to.h"
#include "mem.h"

#define ANSWER_SECONDS  30
#define ASKS_OF_TENANTS (LOG_READER_ASKS * 2 / 3) /* the rest is for who sees all */
#define BACKLOG_MOST    (256u << 10) /* bytes: then it is waited until the client has read */
#define BACKLOG_LEAST   (64u << 10)
#define LOOK_SECONDS    0.05
#define STALLED_SECONDS 30.0

static unsigned tenants_asks;

/* One who asked. */
struct client {
	struct daemon *daemon;
	bool is_tenants; /* he is among tenants_asks */
	struct control_connection *connection;
	struct log_ask *ask;
	struct control_sse *sse; /* NULL: asked once */
	bool begun;              /* the answer is on its way */
	int status;              /* not 0: the end of one that has not begun */
	char *why;
	char *unknown;  /* what there is no tenant called, if no line is found; NULL: there is */
	char *unstored; /* why there may be no lines of the tenant; NULL: nothing is known of that
			 */
	ev_timer look;  /* runs while the client is behind */
	size_t backlog;
	double moved; /* when it last took anything */
};

static void client_release(void *data)
{
	struct client *client = data;

	if (client->ask)
		log_ask_forget(client->ask);
	tenants_asks -= client->is_tenants;
	ev_timer_stop(client->daemon->loop, &client->look);
	free(client->why);
	free(client->unknown);
	free(client->unstored);
	free(client);
}

/* Who reads nothing is cut off; the store keeps what he has missed. */
static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct client *client = timer->data;
	size_t backlog = control_backlog(client->connection);

	(void)events;
	if (backlog < client->backlog)
		client->moved = daemon_now();
	client->backlog = backlog;
	if (backlog <= BACKLOG_LEAST) {
		ev_timer_stop(loop, timer);
		if (client->ask)
			log_ask_resume(client->ask);
	} else if (daemon_now() - client->moved > STALLED_SECONDS) {
		ev_timer_stop(loop, timer);
		control_cut(client->connection);
	}
}

static void hold_back(struct client *client)
{
	client->backlog = control_backlog(client->connection);
	if (client->backlog <= BACKLOG_MOST || ev_is_active(&client->look))
		return;
	client->moved = daemon_now();
	log_ask_pause(client->ask);
	ev_timer_again(client->daemon->loop, &client->look);
}

static void on_text(void *data, const char *text, size_t len)
{
	struct client *client = data;
	struct control_call call = { .d = client->daemon, .connection = client->connection };

	if (!client->begun && !client->sse)
		control_stream(&call, "application/json", &client->connection);
	client->begun = true;
	control_send(client->connection, text, len);
	hold_back(client);
}

static void on_end(void *data, int status, const char *why)
{
	struct client *client = data;

	client->ask = NULL;
	if (client->sse) {
		control_sse_send(client->sse, "error", NULL, json_pack("{s:s}", "error", why));
		control_sse_end(client->sse);
	} else if (!client->begun) {
		client->status = status;
		client->why = mem_strdup(why);
	} else if (status == 200) {
		control_stream_end(client->connection);
	} else {
		control_cut(client->connection);
	}
}

static const struct log_answer answers = { on_text, on_end };

/* Of one that asked once, until the answer begins: what it is when there are no lines. */
static json_t *client_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct client *client = data;

	(void)d;
	if (client->begun || (!client->status && !time_is_up))
		return NULL;
	*status = client->status ? client->status : 504;
	if (*status == 200 && client->unstored)
		return json_pack("[o]", log_entry_remark(client->unstored));
	if (*status == 200 && !client->unknown)
		return json_array();
	if (*status == 200) {
		*status = 404;
		return json_pack("{s:s+}", "error", client->unknown, ", and no line of it is kept");
	}
	return json_pack("{s:s}", "error",
		client->why ? client->why : "the disk that logs are on takes too long");
}

static struct client *client_new(struct control_call *call)
{
	struct client *client = mem_alloc(sizeof(*client));

	client->daemon = call->d;
	client->connection = call->connection;
	client->is_tenants = call->who.scope != SCOPE_ALL;
	tenants_asks += client->is_tenants;
	ev_timer_init(&client->look, on_look, LOOK_SECONDS, LOOK_SECONDS);
	client->look.data = client;
	return client;
}

/* ---- what is asked ---- */

/* "no tenant notes:carl (did you mean ...?)" for one that is not declared; NULL: it is, or a
 * service or nothing is asked for. Lines of who is no more may still be kept. The caller frees. */
static char *unknown_tenant(struct control_call *call, const struct log_question *question)
{
	struct daemon *d = call->d;
	struct instance *instance, *next;
	autofree char *key = mem_printf("%s:%s", question->service, question->id);

	if (!*question->service && !*question->id)
		return NULL;
	if (*question->service && *question->id && instance_find(d, key))
		return NULL;
	if (*question->service && *question->id)
		return call->who.scope == SCOPE_ALL ? describe_unknown(d, key)
						    : mem_printf("no tenant %s", key);
	HASH_ITER (hh, d->instances, instance, next) {
		const char *colon = strchr(instance->key, ':');
		size_t len = (size_t)(colon - instance->key);

		if (*question->id ? strcmp(colon + 1, question->id) == 0
				  : strlen(question->service) == len &&
					    memcmp(instance->key, question->service, len) == 0)
			return NULL;
	}
	return *question->id ? mem_printf("no tenant with the id %s", question->id)
			     : mem_printf("no tenant of a service %s", question->service);
}

/* That one whose lines go elsewhere has none here. NULL: they come here. The caller frees. */
static char *unstored(struct daemon *d, const struct log_question *question)
{
	autofree char *key = mem_printf("%s:%s", question->service, question->id);
	const struct ten_spec *spec = config_set_instance(d->set, key);

	if (!spec || log_to_read(spec->values.log_to) & LOG_TO_STORE)
		return NULL;
	return mem_printf("what %s writes is not stored: log_to does not name the store", key);
}

static void refuse_parameter(struct control_call *call, const char *parameter, const char *why)
{
	control_refuse_where(call, 422, json_pack("{s:s}", "parameter", parameter), "%s", why);
}

/* False: refused. */
static bool read_question(struct control_call *call, struct log_question *question)
{
	const char *parameter;
	struct ten_error err;

	if (log_question_read(question, call->query, &parameter, &err) < 0) {
		refuse_parameter(call, parameter, err.text);
		return false;
	}
	if (!log_question_narrow(question, &call->who)) {
		control_refuse(call, 404, "no such tenant");
		return false;
	}
	if (call->who.scope != SCOPE_ALL && tenants_asks >= ASKS_OF_TENANTS) {
		control_refuse(call, 503, "too many ask for logs at a time");
		return false;
	}
	return true;
}

void control_logs(struct control_call *call)
{
	struct log_question question;
	struct client *client;

	if (!read_question(call, &question))
		return;
	client = client_new(call);
	client->unknown = unknown_tenant(call, &question);
	client->unstored = unstored(call->d, &question);
	client->ask = log_reader_ask(call->d, &question, &answers, client);
	if (!client->ask) {
		client_release(client);
		control_refuse(call, 503, "too many ask for logs at a time");
		return;
	}
	control_wait(call, ANSWER_SECONDS, client_look, client, client_release);
}

void control_logs_stream(struct control_call *call)
{
	struct log_question question;
	struct client *client;
	struct control_sse *sse;
	struct ten_error err;
	char last[32];

	if (!read_question(call, &question))
		return;
	question.kind = LOG_QUESTION_FOLLOW;
	if (question.until_ms) {
		refuse_parameter(call, "until", "what is followed has no end");
		return;
	}
	if (control_sse_last_id(call, last, sizeof(last)) &&
		log_question_resume(&question, last, &err) < 0) {
		refuse_parameter(call, "last_event_id", err.text);
		return;
	}
	client = client_new(call);
	client->unknown = unknown_tenant(call, &question);
	if (client->unknown) {
		control_refuse(call, 404, "%s", client->unknown);
		client_release(client);
		return;
	}
	client->ask = log_reader_ask(call->d, &question, &answers, client);
	if (!client->ask) {
		client_release(client);
		control_refuse(call, 503, "too many ask for logs at a time");
		return;
	}
	sse = control_sse_begin(call, client, client_release);
	if (sse) /* else it is no more */
		client->sse = sse;
}

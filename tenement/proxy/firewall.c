#include "firewall.h"

#include <string.h>

#include "board_wakes.h"
#include "common/clock.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/rewrite.h"
#include "proxy/worker.h"
#include "wake_rules.h"

#define NO_WAKE_RETRY_SECS 60
#define RETRY_MS           2 /* another request's wake is being looked at */

enum verdict { WAKES, IS_HEALTH, IS_REFUSED };

struct said {
	struct wake_request request;
	bool counts; /* for max_wakes_per_minute_per_ip */
};

/* The worker's own clock stands still for the length of a turn. */
static uint64_t shared_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* ---- what a request says ---- */

/* The client's address: its connection's, or what a trusted proxy says. A proxy that says nothing
 * stands for many, and does not count for them. */
static void read_address(const struct client *client, struct http_text real, struct said *said)
{
	struct wake_request *request = &said->request;

	if (client->trusted) {
		request->has_address = wake_address_read(real, request->address);
		said->counts =
			request->has_address && !(real.len == strlen(client->peer) &&
							!memcmp(real.data, client->peer, real.len));
		return;
	}
	request->has_address = said->counts = client->has_address;
	memcpy(request->address, client->address, sizeof(request->address));
}

/* Its head is gone by now; what goes to the tenant says the same. */
static bool read_request(const struct exchange *exchange, struct said *said)
{
	const struct http_window *top = &exchange->top;
	struct http_text real;

	if (!top->data || top->ready < HTTP_WINDOW_BEFORE ||
		!wake_request_read(top->data + HTTP_WINDOW_BEFORE, top->ready - HTTP_WINDOW_BEFORE,
			&said->request, &real))
		return false;
	read_address(exchange->client, real, said);
	return true;
}

static void read_head(
	const struct exchange *exchange, const struct http_head *head, struct said *said)
{
	const struct http_field *agent = http_head_field(head, "user-agent");

	said->request = (struct wake_request){ .path = head->path, .method = head->method_text };
	if (agent)
		said->request.agent = (struct http_text){ agent->value, agent->value_len };
	read_address(exchange->client, rewrite_real_address(exchange->client, head), said);
}

static enum verdict judge(const struct exchange *exchange, const struct route_wake *wake,
	const struct wake_request *request)
{
	if (wake->health &&
		(exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD) &&
		request->path.len == strlen(wake->health) &&
		!memcmp(request->path.data, wake->health, request->path.len))
		return IS_HEALTH;
	return wake_rules_match(&wake->rules, request) ? IS_REFUSED : WAKES;
}

/* ---- refusing ---- */

static void refuse(struct exchange *exchange, enum board_refusal why, uint64_t wait_ms)
{
	exchange->not_woken = why;
	exchange->not_woken_secs = (uint32_t)((wait_ms + 999) / 1000);
}

void firewall_refuse(struct exchange *exchange)
{
	enum board_refusal why = exchange->not_woken;
	bool of_address = why == BOARD_REFUSED_WAKES_PER_IP;

	exchange_refuse_until(exchange, of_address ? 429 : 503, why,
		why == BOARD_REFUSED_NO_WAKE ? "the application sleeps"
					     : "too many applications are being woken",
		exchange->not_woken_secs);
}

static void answer_at_rest(
	struct exchange *exchange, enum verdict verdict, enum instance_state state)
{
	if (verdict == IS_REFUSED) {
		refuse(exchange, BOARD_REFUSED_NO_WAKE, NO_WAKE_RETRY_SECS * 1000);
		firewall_refuse(exchange);
	} else if (state == INSTANCE_FAILED) {
		exchange_refuse(exchange, 503, BOARD_REFUSED_DOWN, "the application is down");
	} else {
		exchange_answer_asleep(exchange);
	}
}

/* ---- rules ---- */

static bool is_bounded(const struct exchange *exchange, const struct route_wake *wake)
{
	return wake->per_minute || exchange->worker->settings.max_wakes_per_minute_per_ip;
}

static bool is_judged(const struct exchange *exchange, const struct route_instance *instance)
{
	return instance->wake != ROUTE_WAKE_ANY ||
	       exchange->worker->settings.max_wakes_per_minute_per_ip;
}

bool firewall_passes(struct exchange *exchange, const struct route_instance *instance)
{
	const struct route_table *table = exchange->worker->table;
	struct route_wake wake = { 0 };
	struct said said;
	enum verdict verdict = WAKES;
	enum instance_state state;

	exchange->quiet = exchange->judged = false;
	if (!is_judged(exchange, instance) || !route_table_state(table, exchange->target, &state) ||
		state == INSTANCE_READY)
		return true;
	exchange->judged = true;
	if (route_table_wake(table, instance, &wake) && read_request(exchange, &said))
		verdict = judge(exchange, &wake, &said.request);
	switch (state) {
	case INSTANCE_ASLEEP:
	case INSTANCE_FROZEN:
	case INSTANCE_FAILED:
		if (verdict == WAKES)
			return true;
		answer_at_rest(exchange, verdict, state);
		return false;
	case INSTANCE_DRAINING:
	case INSTANCE_STOPPING:
		/* What it would wake is not asleep yet, and may come back by itself. */
		exchange->quiet = verdict != WAKES || is_bounded(exchange, &wake);
		return true;
	default:
		exchange->quiet = verdict != WAKES;
		return true;
	}
}

/* ---- how often ---- */

void firewall_pay_back(struct exchange *exchange)
{
	const struct wake_payment *paid = &exchange->paid;

	if (!paid->made)
		return;
	board_wakes_give(paid->by_address, paid->per_address);
	board_wakes_give(paid->by_service, paid->per_service);
	exchange->paid = (struct wake_payment){ 0 };
}

void firewall_settle(struct exchange *exchange, bool found)
{
	enum instance_state state;

	if (!exchange->paid.made)
		return;
	if (!found || !route_table_state(exchange->worker->table, exchange->target, &state) ||
		state != INSTANCE_ASLEEP)
		firewall_pay_back(exchange);
}

/* One more wake by the client's address and one of the service, or neither. */
static bool pay(struct exchange *exchange, const struct said *said, const struct route_wake *wake)
{
	struct worker *worker = exchange->worker;
	struct wake_payment paid = {
		.per_address = worker->settings.max_wakes_per_minute_per_ip,
		.per_service = wake->per_minute,
		.made = true,
	};
	uint64_t now_ms = shared_now_ms(), wait_ms;

	if (paid.per_address && said->counts &&
		!board_wakes_take_address(worker->board, said->request.address, now_ms,
			paid.per_address, &paid.by_address, &wait_ms)) {
		refuse(exchange, BOARD_REFUSED_WAKES_PER_IP, wait_ms);
		return false;
	}
	if (paid.per_service && !board_wakes_take_service(worker->board, wake->counter, now_ms,
					paid.per_service, &paid.by_service, &wait_ms)) {
		board_wakes_give(paid.by_address, paid.per_address);
		refuse(exchange, BOARD_REFUSED_WAKES, wait_ms);
		return false;
	}
	exchange->paid = paid;
	return true;
}

/* It wakes: who has asked for it before has paid for that. */
static bool take(struct exchange *exchange, const struct route_wake *wake)
{
	struct said said = { 0 };

	if (!exchange->paid.made) {
		if (exchange->worker->settings.max_wakes_per_minute_per_ip)
			(void)read_request(exchange, &said);
		if (!pay(exchange, &said, wake))
			return false;
	}
	exchange->paid = (struct wake_payment){ 0 };
	return true;
}

/* The service's bound is what its own record says, and a damaged one says nothing. */
static void load_bound(const struct exchange *exchange, const struct route_instance *instance,
	struct route_wake *wake)
{
	*wake = (struct route_wake){ 0 };
	if (!route_table_wake(exchange->worker->table, instance, wake) ||
		wake->counter >= BOARD_PICKS_MAX)
		wake->per_minute = 0;
}

bool firewall_admits(
	struct exchange *exchange, const struct route_instance *instance, uint32_t *retry_ms)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;
	enum instance_state state;
	struct route_wake wake;
	uint64_t mark;

	if (!is_judged(exchange, instance) || exchange->quiet ||
		!route_table_state(worker->table, exchange->target, &state))
		return true;
	if (state != INSTANCE_ASLEEP && state != INSTANCE_FAILED) {
		firewall_pay_back(exchange);
		return true;
	}
	load_bound(exchange, instance, &wake);
	if (!is_bounded(exchange, &wake))
		return true;
	switch (board_wake_claim(worker->board, slot, shared_now_ms(), &mark)) {
	case WAKE_CLAIM_MINE:
		break;
	case WAKE_CLAIM_BUSY:
		exchange->quiet = true;
		*retry_ms = RETRY_MS;
		return true;
	default:
		firewall_pay_back(exchange);
		return true;
	}
	if (take(exchange, &wake)) {
		board_wake_grant(worker->board, slot, mark);
		return true;
	}
	board_wake_let_go(worker->board, slot, mark);
	firewall_refuse(exchange);
	return false;
}

/* ---- who is not there yet ---- */

/* What is asked for is woken next: it is counted here, so that many that ask at the same time have
 * no more declared than they may wake. */
bool firewall_may_ask(
	struct exchange *exchange, const struct http_head *head, const char *service, bool joins)
{
	struct worker *worker = exchange->worker;
	struct route_wake wake = { 0 };
	struct said said;

	if (!route_table_wake_of_service(worker->table, service, &wake) &&
		!worker->settings.max_wakes_per_minute_per_ip)
		return true;
	if (wake.counter >= BOARD_PICKS_MAX)
		wake.per_minute = 0;
	read_head(exchange, head, &said);
	if (judge(exchange, &wake, &said.request) == IS_REFUSED) {
		refuse(exchange, BOARD_REFUSED_NO_WAKE, NO_WAKE_RETRY_SECS * 1000);
		return false;
	}
	return joins || !is_bounded(exchange, &wake) || pay(exchange, &said, &wake);
}

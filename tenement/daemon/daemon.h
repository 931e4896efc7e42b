/*
 * tenementd: what all of its parts share.
 *
 * The order of a turn of the loop: watchers mark (a file is dirty, an instance has news), then
 * reconcile_turn() alone acts. See ARCHITECTURE.md.
 */
#ifndef TEN_DAEMON_H
#define TEN_DAEMON_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "board.h"
#include "config_set.h"
#include "daemon/seats.h"
#include "guard.h"
#include "route_table.h"

struct audit;
struct instance;
struct confdir;
struct control;
struct override;
struct rollout;
struct tokens;
struct run;

struct daemon {
	struct ev_loop *loop;

	/* how it was started */
	struct config_place place;
	struct machine machine; /* what it cannot give: see abilities.h */
	bool root;
	uid_t uid;

	/* the desired state, and the settings this life of the daemon runs with */
	struct config_set *set;
	struct setting_values boot; /* BOOT and CONFIRM values are these until the next start */
	char *data_dir, *runtime_dir, *conf_dir, *domain;
	int data_fd; /* of data_dir */
	int own_fd;  /* of data_dir/.tenement */
	int run_fd;  /* of runtime_dir */
	uint32_t uid_first, uid_last;
	uint32_t proxy_uid, proxy_gid; /* UINT32_MAX: as we are */
	uint32_t logger_uid, logger_gid;
	double started;
	uint64_t boot_id;    /* of this life of the daemon alone */
	uint64_t generation; /* of accepted configurations */

	/* shared with the proxy */
	struct route_table *table;
	int table_fd;
	struct board *board;
	int board_fd;
	int bell;         /* the proxy rings it */
	uint32_t workers; /* lanes; each has a worker that accepts, and may have some that drain */
	struct seat seats[BOARD_WORKERS_MAX];

	int keeper; /* the socket to it */
	int logger; /* likewise */
	int notify; /* sd_notify datagrams of tenants */

	/* the actual state */
	struct instance *instances; /* by key */
	struct instance *by_slot[ROUTE_SLOTS_MAX];
	struct instance *dirty;      /* those with news, in order */
	struct instance *last_dirty; /* of those, if there are any */
	struct run *runs;            /* by pid */
	TAILQ_HEAD(instance_queue, instance)
	queue;             /* wait for their turn to start: see start_queue.h */
	uint32_t starting; /* that have a process and are not ready */
	uint32_t cores;
	uint16_t next_port;
	bool port_given[65536]; /* to a process that lives */
	uint64_t settings_hash; /* of the settings that are published with each tenant */
	bool much_was_read;     /* of the configuration: the heap has holes */
	bool hosts_changed;     /* states or routes: the workers are to look again */
	bool shutting_down;
	bool leaving;       /* for the daemon after us */
	bool table_is_new;  /* the one handed down was damaged */
	bool keeper_is_new; /* nothing was handed down to us: this is the first daemon of a keeper
			     */
	bool paused;
	char *paused_why;
	bool first_reconcile_done;

	struct guard guard;
	struct confdir *confdir;
	struct control *control;
	struct override *overrides;
	struct rollout *rollouts;
	struct tokens *tokens;
	struct audit *audit;
};

/* Seconds and milliseconds of CLOCK_MONOTONIC, as the board has them. */
double daemon_now(void);
uint64_t daemon_now_ms(void);

#endif

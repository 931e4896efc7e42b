/*
 * The two ends of a judgement: putting what it came to in force and saying what that changes, or
 * taking it back.
 */
#ifndef TEN_CONFIG_CHANGE_H
#define TEN_CONFIG_CHANGE_H

#include "config_state.h"

/* Make what is staged wanted, and keep what was wanted before for a rollback. */
void config_change_begin(struct config_set *set);

/* Add what commit is about to change. */
void config_change_describe(struct config_set *set, struct change_lists *lists);

/* Put the judgement in force, or take it back; then nothing is marked any more. */
void config_change_commit(struct config_set *set);
void config_change_rollback(struct config_set *set);

void change_names_clear(struct change_names *names);

/* Hand LISTS over; nothing is listed twice. */
void change_lists_finish(struct change_lists *lists, struct config_change *change);

#endif

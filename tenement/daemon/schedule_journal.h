/*
 * .tenement/schedule: until when the times to wake somebody are dealt with, who is still to be
 * woken for one of them, and who sleeps through the present hours because he was stopped by hand.
 * Written anew when somebody is to be woken and appended to when he was, so that after whatever end
 * of the daemon nobody is woken twice for the same time and nobody is forgotten.
 */
#ifndef TEN_SCHEDULE_JOURNAL_H
#define TEN_SCHEDULE_JOURNAL_H

#include "daemon/instance.h"

/* Read what is there. */
int schedule_journal_load(struct daemon *d, struct ten_error *err);

/* Until when all is dealt with; 0: nothing is known. */
int64_t schedule_journal_until(void);
void schedule_journal_set_until(struct daemon *d, int64_t time);

/* What was read of INSTANCE goes into it, once; and nothing more is known of others. */
void schedule_journal_give(struct instance *instance);
void schedule_journal_forget(void);

/* Write what is so of all instances, with UNTIL. */
void schedule_journal_write(struct daemon *d, int64_t until);
/* What is so of this one. */
void schedule_journal_note(struct daemon *d, const struct instance *instance);

#endif

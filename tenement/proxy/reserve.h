/*
 * Memory kept aside for the loop: libev ends the process when it is refused any. It asks rarely,
 * and for little; when the heap has nothing it gets what it needs from here.
 */
#ifndef TEN_PROXY_RESERVE_H
#define TEN_PROXY_RESERVE_H

/* Before the loop is made. */
void reserve_init(void);

#endif

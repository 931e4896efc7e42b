/*
 * Who a process is: its pid together with its start time, never a pid alone (pids are used again).
 */
#ifndef TEN_PROCESS_H
#define TEN_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/PID/stat, clock ticks since boot (proc(5)); 0 when there is no such process. */
uint64_t process_start_time(pid_t pid);

/* Which boot of the machine this is; "" when the kernel does not say.
 * Start times are counted from it. */
#define PROCESS_BOOT_SIZE 40
void process_boot(char id[PROCESS_BOOT_SIZE]);

/* Whether PID or one that descends from it has the socket with this INODE open. -1: that cannot be
 * seen (proc(5) hides it, or there are very many). */
int process_holds_socket(pid_t pid, uint32_t inode);

/* Bytes of memory that PID has present, shared ones too; 0: there is no such process. */
uint64_t process_memory(pid_t pid);

/* The same, with all that descend from it. */
uint64_t process_tree_memory(pid_t pid);

/* The parent of PID; 0: there is none that can be seen. */
pid_t process_parent(pid_t pid);

/* PID and all that descend from it; returns how many, at most MAX. */
size_t process_tree(pid_t pid, pid_t *all, size_t max);

/* What PID uses, and of the processor its children that it waited for. -1: there is none. */
struct process_usage {
	uint64_t memory_bytes, cpu_usec;
	bool io_known; /* the kernel does not say it to all */
	uint64_t io_read_bytes, io_written_bytes;
};
int process_usage(pid_t pid, struct process_usage *usage);

/* What PID alone used, without its children. -1: there is none. */
struct process_own {
	uint64_t memory_bytes, cpu_usec;
	double started; /* seconds since the boot */
};
int process_own(pid_t pid, struct process_own *own);

/* Whether PID is still the process that began at START, and not a zombie. */
bool process_is(pid_t pid, uint64_t start);

/* The same, and it was stopped by a signal. */
bool process_is_stopped(pid_t pid, uint64_t start);

/* Around a fork: until the child is as exec would make it, what it is told to do would go to the
 * handlers of its parent, and be lost. So the parent holds back all signals, sets BEFORE again
 * after the fork, and the child begins with process_hear_signals(). */
void process_hold_signals(sigset_t *before);
void process_hear_signals(void); /* none is handled, ignored or held back */
/* The first half of that: all are held back still. */
void process_forget_handlers(void);

#endif

# A tenant's life with control groups of version 2: asked for, frozen, thawed, asleep, awake, gone.
settings
service notes 'sleep = [{ after = 1, to = "frozen" }]' 'isolation = "process"'
tenant notes:alice
tenement_start

check "a request is answered" answers notes:alice
pid=$(of notes:alice pid)
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
check "it is in a group of its own below ours" has "^$GROUP/.*/notes:alice" "$group"
check "alone there" is "$(cat "$group/cgroup.procs")" "$pid"
check "it is frozen when idle" wait_for 10 state_is notes:alice frozen
check "by its group" has "frozen 1" "$(cat "$group/cgroup.events")"
check "a request thaws it" answers notes:alice
check "it is the same process" is "$(of notes:alice pid)" "$pid"
check "it is put to sleep" ten stop notes:alice
check "asleep" wait_for 10 state_is notes:alice asleep
check "its process is gone" test ! -e "/proc/$pid"
check "its group as well" test ! -e "$group"
ten start notes:alice
check "it answers again" answers notes:alice
check "the daemon ends with status 0" tenement_stop
check "no group of tenement is left" is "$(find "$GROUP" -name 'tenement-*')" ""

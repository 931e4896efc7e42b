# What ten doctor says of control groups of version 2: where all is given, and where it is not.
settings
service notes 'isolation = "process"' 'memory_limit_mb = 64'
tenant notes:alice

# doctor_in GROUP: what it says there, in $said, and its exit status, in $status.
doctor_in() {
	mkdir -p "$1"
	said=$(
		echo 0 >"$1/cgroup.procs"
		ten doctor
	)
	status=$?
	rmdir "$1"
}

row() { has "^  $1 *$2  " "$said"; }

doctor_in "$GROUP-all"
check "our group is told" has "ok .* a group of our own .* version 2, $GROUP-all " "$said"
for what in "memory controller" "cpu controller" "pids controller" "io controller" cgroup.kill memory.reclaim freezer; do
	check "$what is there" row ok "$what"
done
check "nothing that is asked for is missing" is "$status" 0
check "no group of it is left" is "$(find /sys/fs/cgroup -name 'tenement-doctor*')" ""

# Below a group that passes no controller on there are none.
mkdir -p "$GROUP/none"
doctor_in "$GROUP/none/below"
rmdir "$GROUP/none"
check "a group of our own can be made there" row ok "a group of our own"
for what in "memory controller" "cpu controller" "pids controller" "io controller" memory.reclaim; do
	check "$what is missing" row missing "$what"
done
check "a limit is lost, and asked for" has "lost, and asked for: no memory limits" "$said"
check "it says so" is "$status" 1
check "what is not asked for is not told as asked for" no has "lost, and asked for: no weights" "$said"

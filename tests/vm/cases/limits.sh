# Limits by control groups of version 2, in a group that was made over to us with processes of ours in it.
# timeout: 200
# modules: tcp_diag
mkdir -p www/cgi-bin
cat >www/cgi-bin/eat <<'END'
#!/bin/sh
(exec dd if=/dev/zero of=/dev/null bs=150M count=1) >/dev/null 2>&1
status=$?
printf 'Content-type: text/plain\r\n\r\n%s\n' $status
END
cat >www/cgi-bin/fill <<'END'
#!/bin/sh
dd if=/dev/zero of=/dev/shm/filled bs=1M count=30 2>/dev/null
printf 'Content-type: text/plain\r\n\r\nfilled\n'
END
chmod -R go+rX . && chmod 755 www/cgi-bin/*
echo hello >www/index.html

# Controllers only where no process is: what started us goes aside.
mkdir "$GROUP/shell"
for pid in $(cat "$GROUP/cgroup.procs"); do echo "$pid" >"$GROUP/shell/cgroup.procs"; done 2>/dev/null
echo "+memory +cpu +pids +io" >"$GROUP/cgroup.subtree_control"

web='command = "/bin/busybox httpd -f -p 127.0.0.1:{port} -h '"$PWD"'/www"'
says() { is "$(cat "$group/$1")" "$2"; }
status_has() { has "$1" "$(ten status | tr -s '\n ' ' ')"; }

settings "backoff_base_ms = 50" "max_restarts = 1"
service web "$web" 'isolation = "process"' "memory_limit_mb = 64" "swap_limit_mb = 0" "cpu_shares = 300" \
	"cpu_limit = 0.5" "pids_limit = 50"
tenant web:a
service big 'command = "/bin/busybox dd if=/dev/zero of=/dev/null bs=150M count=1"' 'isolation = "process"' \
	"memory_limit_mb = 64" "startup_timeout = 60"
tenant big:a
tenement_start
check "all controllers are there" status_has "limits memory (version 2), cpu (version 2), pids (version 2), io (version 2)"
check "a request is answered" is "$(ask web:a /index.html)" hello
pid=$(of web:a pid)
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
check "it is in a group below ours" has "^$GROUP/serve/tenement-.*/web:a" "$group"
check "no process is in ours itself" is "$(cat "$GROUP/serve/cgroup.procs")" ""
check "the keeper is in a leaf of it" has "^0::.*/serve/supervisor$" "$(cat "/proc/$serve/cgroup")"
check "memory.max" says memory.max 67108864
check "memory.high is a 16th below it" says memory.high 62914560
check "memory.swap.max" says memory.swap.max 0
check "cpu.weight" says cpu.weight 300
check "cpu.max" says cpu.max "50000 100000"
check "pids.max" says pids.max 50

service web "$web" 'isolation = "process"' "memory_limit_mb = 48" "cpu_limit = 2" "pids_limit = 60"
check "changed while it runs" wait_for 10 says pids.max 60
check "memory.max as well" says memory.max 50331648
check "and memory.high" says memory.high 47185920
check "and swap" says memory.swap.max max
check "and cpu" says cpu.max "200000 100000"
check "and cpu.weight" says cpu.weight 100
check "it is the same process" is "$(of web:a pid)" "$pid"

check "a child that wants too much is killed" has "^137$" "$(ask web:a /cgi-bin/eat)"
said() { grep -q "$1" serve.log; }
check "and the log says so" wait_for 10 said "web:a: out of memory (limit 48 MiB): the kernel killed 1 of its processes"
check "the tenant goes on" is "$(of web:a pid)" "$pid"
metric() { wget -q -O - "http://127.0.0.1:$PORT/metrics" | grep "$1"; }
check "ten status counts it" has "out of memory 1" "$(ten status web:a | tr -s ' ')"
ask big:a >/dev/null 2>&1
check "one that is nothing but that is given up" wait_for 60 state_is big:a failed
check "with the reason" has "before it was ready: out of memory (limit 64 MiB)" "$(ten status big:a | tr -s '\n ' ' ')"

kill -9 "$(pidof tenementd)"
back() { [ "$(ten ps -a -o json 2>/dev/null | grep -c '"web:a"')" = 1 ] && state_is web:a ready; }
check "the daemon comes back" wait_for 20 back
check "and finds the place again" is "$(of web:a pid) $(ls -d "$GROUP"/serve/*/)" "$pid $GROUP/serve/supervisor/
$(dirname "$group")/"
service web "$web" 'isolation = "process"' "pids_limit = 70"
check "limits change as before" wait_for 10 says pids.max 70

check "it holds memory that cannot be handed back" is "$(ask web:a /cgi-bin/fill)" filled
service web "$web" 'isolation = "process"' "memory_limit_mb = 16"
check "a limit below that ends it" wait_for 10 said "web:a: ready -> .*: out of memory (limit 16 MiB)"
check "and it is started again" wait_for 20 is "$(ask web:a /index.html)" hello
rm -f /dev/shm/filled

check "the daemon ends with status 0" tenement_stop
check "nothing of it is left" is "$(find "$GROUP/serve" -mindepth 1 -type d)" ""
check "nor a controller" is "$(cat "$GROUP/serve/cgroup.subtree_control")" ""

# Somebody else's process in our group: nothing is moved, and who asks for a limit does not run.
sleep 1000 &
other=$!
echo $other >"$GROUP/serve/cgroup.procs"
service plain 'isolation = "process"'
tenant plain:a
tenement_start
check "whose it is is said" status_has "process $other, which is not ours, is in our control group"
check "it is not moved" has "/serve$" "$(sed -n 's/^0:://p' "/proc/$other/cgroup")"
check "nobody runs without a limit that it asks for" no ask web:a /index.html
check "who asks for none runs" answers plain:a
kill $other
check "the daemon ends" tenement_stop
check "nothing of it is left then" is "$(find "$GROUP/serve" -mindepth 1 -type d)" ""

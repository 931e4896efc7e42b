# The disk of data_dir is shared out by control groups of version 2, and page cache is handed back when frozen.
# modules: tcp_diag loop ext4
# programs: mkfs.ext4
# timeout: 90
mkdir -p www
for pid in $(cat "$GROUP/cgroup.procs"); do
	mkdir -p "$GROUP/shell" && echo "$pid" >"$GROUP/shell/cgroup.procs"
done 2>/dev/null
echo "+memory +cpu +pids +io" >"$GROUP/cgroup.subtree_control"
dd if=/dev/zero of=disk bs=1M count=48 2>/dev/null
mkfs.ext4 -q -F disk
mkdir data
losetup /dev/loop0 disk
check "there is a disk" mount -t ext4 /dev/loop0 data
disk=$(cat /sys/block/loop0/dev)
dd if=/dev/urandom of=data/large bs=1M count=20 2>/dev/null
chmod 644 data/large
ln -s "$PWD/data/large" www/large
chmod -R go+rX .

web='command = "/bin/busybox httpd -f -p 127.0.0.1:{port} -h '"$PWD"'/www"'
says() { is "$(cat "$group/$1")" "$2"; }
large() { echo 3 >/proc/sys/vm/drop_caches; ask web:a /large | wc -c; }
current() { cat "$group/memory.current"; }
reclaimed() { at_most "$(current)" 8000000; }

settings "data_dir = \"$PWD/data\""
service web "$web" 'isolation = "process"' "io_max_mb_per_second = 5"
tenant web:a
tenement_start
check "a request is answered" is "$(large)" 20971520
pid=$(of web:a pid)
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
check "io.max" says io.max "$disk rbps=5242880 wbps=5242880 riops=max wiops=max"
begun=$(now)
check "all of it is read" is "$(large)" 20971520
check "but slowly" at_least $(($(now) - begun)) 2
service web "$web" 'isolation = "process"' 'sleep = [{ after = 4, to = "frozen" }]' "frozen_reclaim = true"
check "io.max is taken away while it runs" wait_for 10 says io.max ""
check "it is read again" is "$(large)" 20971520
check "its page cache is its own" at_least "$(current)" 20971520
check "it is frozen" wait_for 10 state_is web:a frozen
check "and its page cache handed back" wait_for 10 reclaimed
check "what it read is counted" has '"io_read_bytes":[0-9]\{8\}' "$(ten status web:a -o json | tr -d ' \n')"
check "and how much memory it had" has '"memory_peak_bytes":[0-9]\{8\}' "$(ten status web:a -o json | tr -d ' \n')"
check "the daemon ends" tenement_stop
umount data
losetup -d /dev/loop0 2>/dev/null
check "its groups are gone" is "$(find "$GROUP/serve" -mindepth 1 -type d)" ""

# storage_quota_mb where the file system has project quotas: XFS and ext4.
# modules: loop xfs quota_v2 quota_tree
# programs: mkfs.xfs mkfs.ext4
# timeout: 120

data() { echo "$PWD/$fs/notes/$1"; }
level() { ten status notes:alice -o json | tr -d ' \n' | sed -n 's/.*"level":"\([a-z]*\)".*/\1/p'; }
used_mb() { echo $(($(ten status notes:alice -o json | tr -d ' \n' | sed -n 's/.*"used_bytes":\([0-9]*\).*/\1/p') >> 20)); }
used_is() { is "$(used_mb)" "$1"; }
level_is() { is "$(level)" "$1"; }
# write FILE MIB: by the tenant.
write() { ten exec notes:alice -- dd if=/dev/zero of="$(data alice)/$1" bs=64k count=$(($2 * 16)); }

try() {
	fs=$1
	mkdir "$fs"
	truncate -s 320M "$fs.image"
	if [ "$fs" = xfs ]; then
		mkfs.xfs -q "$fs.image"
	else
		mkfs.ext4 -q -O quota,project "$fs.image"
	fi || { echo "not ok mkfs.$fs"; return; }
	mount -o loop,prjquota "$fs.image" "$fs" || { echo "not ok mount $fs: $(dmesg | tail -n 3)"; return; }
	settings "data_dir = \"$PWD/$fs\""
	service notes 'isolation = "process"' 'storage_quota_mb = 20' 'idle_timeout = 0'
	tenant notes:alice
	# What was there before belongs to it as well, and nothing that a link leads to.
	mkdir -p "$(data alice)/deep/er"
	dd if=/dev/zero of="$(data alice)/deep/er/old" bs=1M count=5 2>/dev/null
	dd if=/dev/zero of="$fs/others" bs=1M count=30 2>/dev/null
	ln -s "$PWD/$fs/others" "$(data alice)/link"
	mkfifo "$(data alice)/pipe"
	tenement_start
	check "$fs: a tenant whose folder was there is not given it" no answers notes:alice
	chown -hR "$(ten exec notes:alice -- id -u)" "$(data alice)"
	ten start notes:alice
	check "$fs: it answers" wait_for 10 answers notes:alice
	check "$fs: the file system counts" has "project quotas, which the file system enforces" "$(ten status)"
	check "$fs: what was there counts" wait_for 30 used_is 5
	check "$fs: it can write" write a 12
	check "$fs: the event at 80 %" wait_for 60 level_is near
	check "$fs: more than its quota is refused" no write b 10
	check "$fs: by the kernel" at_most "$(du -sm "$(data alice)" | cut -f1)" 20
	check "$fs: the event at 100 %" wait_for 60 level_is full
	check "$fs: it goes on" answers notes:alice
	tenant notes:alice 'storage_quota_mb = 40'
	check "$fs: a raised quota is in force without a restart" wait_for 20 write b 10
	tenant notes:alice 'storage_quota_mb = 16' 'storage_over = "stop"'
	check "$fs: one below what it has stops it" wait_for 20 state_is notes:alice stopped
	check "$fs: and is answered for" has 507 "$(wget -q -S -O - --header 'Host: alice.notes.localhost' "http://127.0.0.1:$PORT/" 2>&1)"
	rm "$(data alice)/a" "$(data alice)/b"
	check "$fs: until there is room" wait_for 30 answers notes:alice
	check "$fs: the daemon ends with status 0" tenement_stop
	umount "$fs"
	rm -rf "$fs" "$fs.image" conf.d tenement.toml
}

try xfs
try ext4

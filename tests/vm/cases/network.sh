# Tenants' networks under Debian's own kernel, whose nftables, links and queues are modules.
# modules: tcp_diag nf_tables nft_ct nft_masq nft_reject_inet nft_chain_nat veth sch_tbf
# programs: nft setpriv
# timeout: 60
mkdir -p www
echo page >www/index.html
settings
for network in host private; do
	service "$network" 'command = "/bin/busybox httpd -f -p {port} -h /work/network/www"' \
		"network = \"$network\"" 'isolation = "namespace"'
	tenant "$network:a"
	tenant "$network:b"
done
service open 'command = "/bin/busybox httpd -f -p {port} -h /work/network/www"' 'network = "private"' \
	'egress = true' 'egress_allow = ["192.0.2.0/24:80"]' 'bandwidth_mbit = 50'
tenant open:a
service none 'network = "none"'
tenant none:a

connects() { nc -w 3 "$1" "$2" </dev/null; }
user_connects() { /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups nc -w 3 "$1" "$2" </dev/null; }
page() { is "$(ask "$1" /index.html)" page; }

tenement_start
check "a tenant on the machine's network answers" page host:a
port=$(of host:a port)
check "root reaches its port" connects 127.0.0.1 "$port"
check "another user does not" no user_connects 127.0.0.1 "$port"
check "but what is no tenant's" user_connects 127.0.0.1 "$PORT"
check "its port is in our table" has "$port" "$(nft list ruleset)"
check "a private tenant answers" page private:a
address=$(of private:a network | sed 's/private *//')
check "at an address of its own" has '^10\.90\.' "$address"
check "which root reaches" connects "$address" "$(of private:a port)"
check "and another user does not" no user_connects "$address" "$(of private:a port)"
check "one with egress and a bound answers" page open:a
check "one with no network answers on its socket" answers none:a
check "forwarding is on" is "$(cat /proc/sys/net/ipv4/ip_forward)" 1
check "two links are there" is "$(ip link | grep -c ': tn')" 2
check "the daemon ends with status 0" tenement_stop
check "no link is left" wait_for 10 no sh -c 'ip link | grep ": tn"'
check "no table is left" is "$(nft list tables | grep tenement)" ""
check "forwarding is off" is "$(cat /proc/sys/net/ipv4/ip_forward)" 0

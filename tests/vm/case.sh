# sh case.sh NAME: runs cases/NAME.sh with what is below at hand. A case says what holds and what does not:
#
#     check "it answers" ask notes:alice          ok if the command succeeds
#     skip "why"                                  ends the case
#
# Everything it says is shown when it fails. It is in a folder and in a control group of its own
# ($GROUP, all controllers on), and leaves no process behind: that is looked at when it has ended.
# shellcheck shell=dash disable=SC3043
NAME=$1
GROUP=/sys/fs/cgroup/cases/$NAME
PORT=8080
serve=

# check WHAT COMMAND...: WHAT holds if COMMAND succeeds; what it said is told otherwise.
check() {
	local what=$1
	shift
	# (not in a subshell: it may set something)
	if "$@" >"/tmp/$NAME.said" 2>&1; then
		echo "ok $what"
	else
		echo "not ok $what: $* said: $(tr '\n' '|' <"/tmp/$NAME.said")"
	fi
}

skip() {
	echo "skip $*"
	exit 0
}

# A command of which nothing but the status matters.
no() { ! "$@"; }
is() { [ "$1" = "$2" ] || { echo "it is '$1' and not '$2'"; return 1; }; }
has() { echo "$2" | grep -q -e "$1" || { echo "no '$1' in: $2"; return 1; }; }
at_most() { [ "$1" -le "$2" ] || { echo "$1 is more than $2"; return 1; }; }
at_least() { [ "$1" -ge "$2" ] || { echo "$1 is less than $2"; return 1; }; }

now() { cut -d. -f1 /proc/uptime; }

# wait_for SECONDS COMMAND...: until it succeeds. Says what it said last when it does not.
wait_for() {
	local deadline=$(($(now) + $1)) said
	shift
	while ! said=$("$@" 2>&1); do
		[ "$(now)" -le $deadline ] || { echo "in vain: $said"; return 1; }
		usleep 100000
	done
}

# settings [LINE...]: write tenement.toml. To be called before tenement_start.
settings() {
	mkdir -p conf.d
	{
		echo "[settings]"
		echo "listen = [\"127.0.0.1:$PORT\"]"
		echo "runtime_dir = \"/run/$NAME\""
		echo "workers = 1"
		for line in "$@"; do echo "$line"; done
	} >tenement.toml
}

# service NAME [LINE...]: of the small app, if no line says another command.
service() {
	local name=$1 line
	shift
	{
		echo "[service.$name]"
		case "$*" in *command\ =*) ;; *) echo 'command = "/opt/tenement/tests/tiny"' ;; esac
		for line in "$@"; do echo "$line"; done
	} >"conf.d/.$name.new"
	mv "conf.d/.$name.new" "conf.d/$name.toml"
}

# tenant notes:alice [LINE...]
tenant() {
	local key=$1 line
	shift
	{
		echo "[tenant]"
		echo "service = \"${key%:*}\""
		for line in "$@"; do echo "$line"; done
	} >"conf.d/.${key%:*}-${key#*:}.new"
	mv "conf.d/.${key%:*}-${key#*:}.new" "conf.d/${key%:*}-${key#*:}.toml"
}

# The daemon's group is a leaf of the case's, as a service manager would have it.
tenement_start() {
	[ -e tenement.toml ] || settings
	mkdir -p "$GROUP/serve"
	(
		echo 0 >"$GROUP/serve/cgroup.procs"
		exec ten serve
	) >serve.log 2>&1 &
	serve=$!
	wait_for 20 wget -q -O /dev/null "http://127.0.0.1:$PORT/health" || exit
}

tenement_stop() {
	local status=0
	kill "$serve"
	wait "$serve" || status=$?
	serve=
	return $status
}

# ask notes:alice [PATH]: the body of the answer.
ask() {
	# (its own -T crashes in Debian's static one)
	timeout 20 wget -q -O - --header "Host: ${1#*:}.${1%:*}.localhost" "http://127.0.0.1:$PORT${2-/}"
}

# of notes:alice FIELD: a field of what the control API says of it.
of() {
	ten ps -a -o json | tr -d ' \n' | sed 's/},{/}\n{/g' | grep -F "\"id\":\"$1\"" |
		sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

state_is() { is "$(of "$1" state)" "$2"; }
answers() { is "$(ask "$1")" "${1#*:}"; }

ended() {
	if [ -n "$serve" ]; then
		kill "$serve" 2>/dev/null
		wait "$serve"
	fi
}
trap ended EXIT

set -u
# shellcheck source=/dev/null
. "/vm/cases/$NAME.sh"

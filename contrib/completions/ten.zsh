#compdef ten tenement
# Completion of ten(1). Made from its table of commands by `ten help --completion zsh`.
_ten_commands() {
	local -a commands=(
		'init:Write a commented tenement.toml and a small conf.d to begin with.'
		'serve:Run the server in the foreground; Ctrl-C stops everything.'
		'status:Say what runs, what is wrong, what is held and what to type.'
		'doctor:Say what this machine can give, and what is lost where it cannot.'
		'metrics:Print what the proxy and the tenants did, as Prometheus reads it.'
		'config:Show the settings in force, or one of them.'
		'pause:Stop acting on changed files until unpause.'
		'unpause:Act again, on what has changed meanwhile too.'
		'upgrade:Run the programs that are on disk now, losing no request.'
		'check:Validate configuration without a daemon.'
		'diff:Say what would be done, and why.'
		'apply:Put files into conf.d and wait until they are in force.'
		'ps:List the tenants that run, or with -a all.'
		'top:Show what the tenants that run use, again and again.'
		'usage:Show what tenants used, hour by hour kept for usage_days.'
		'spawn:Declare a tenant and start it.'
		'start:Start tenants and wait until they are ready.'
		'stop:Stop tenants and wait until they are down.'
		'restart:Stop tenants, start them again and wait until they are ready.'
		'suspend:Take tenants down; their visitors see the suspended page.'
		'resume:End the suspension of tenants.'
		'hold:Keep a tenant awake for a time (default\: 1h).'
		'release:End a hold.'
		'why:Say what woke a tenant, keeps it awake, and when it will sleep.'
		'rm:Stop tenants and remove their declaration; their data stays.'
		'events:Show what happened of late, or with -f what happens.'
		'logs:Show what tenants have written to their output.'
		'exec:Run a command as the tenant sees the world.'
		'route:Show where services'\'' traffic goes, or swap it.'
		'weight:Set an instance'\''s share of its service'\''s traffic (0 to 10000).'
		'deploy:Start a version, and give it traffic when it is healthy.'
		'overrides:List what was set by hand over the declared state, or end it.'
		'history:List the accepted configurations, the newest first.'
		'undo:Take back a change (default\: the newest one).'
		'token-gen:Make a token for the API, and show it this once.'
		'tokens:List the tokens\: what they may, since when and until when.'
		'token-revoke:End tokens, at once and for good.'
		'audit:Say who asked for what, and what came of it.'
		'version:Print the version.'
		'help:Explain ten, or one command.'
	)
	_describe command commands
}

_ten_tenants() {
	local -a names=(${(f)"$(ten ps -aq 2>/dev/null)"})
	compadd -a names
}

_ten_services() {
	local -a names=(${(u)${(f)"$(ten ps -aq 2>/dev/null)"}%%:*})
	compadd -a names
}

_ten_files() { _files }

_ten() {
	local context state line
	local -a everywhere=(
		'--data-dir[The data folder whose daemon is meant.]:DIR:_files'
		'--conf-dir[The folder of per-tenant files.]:DIR:_files'
		'--config[The tenement.toml, instead of the nearest one.]:FILE:_files'
		'--server[The daemon to talk to\: https\://HOST\[\:PORT\], http\:// for this machine, or unix\:/path/to/control.sock.]:ADDRESS:'
		'--token[The token to show to it, @FILE that holds it, or - to read it.]:TOKEN:'
		'--output[json for programs, text for people.]:format:(csv json text)'
		'--quiet[Print ids only.]'
		'--no-color[No colours, also on a terminal (NO_COLOR does the same).]'
		'--timeout[How long to wait\: seconds, or 5m, 1h (default\: 30).]:TIME:'
		'--help[Show what the command does.]'
	)
	_arguments -C $everywhere '1:command:_ten_commands' '*::argument:->rest'
	[[ $state == rest ]] || return
	case $line[1] in
	init)
		_arguments $everywhere \
		'*:argument:_ten_files'
		;;
	serve)
		_arguments $everywhere \
		'--domain[The root domain.]:DOMAIN:' \
		'--port[The port of the first address that is listened on.]:PORT:' \
		'*:argument:'
		;;
	status)
		_arguments $everywhere \
		'--check[Exit 1 if anything is wrong.]' \
		'--secrets[Show values of the environment (root and the daemon'\''s own user only).]' \
		'*:argument:_ten_tenants'
		;;
	doctor)
		_arguments $everywhere \
		'*:argument:'
		;;
	metrics)
		_arguments $everywhere \
		'*:argument:'
		;;
	config)
		_arguments $everywhere \
		'(-a --all)'{-a,--all}'[Everything, not only what runs or was set.]' \
		'*:argument:'
		;;
	pause)
		_arguments $everywhere \
		'*:argument:'
		;;
	unpause)
		_arguments $everywhere \
		'*:argument:'
		;;
	upgrade)
		_arguments $everywhere \
		'*:argument:'
		;;
	check)
		_arguments $everywhere \
		'--dump-json[Print the TOML as JSON, each value tagged with its type.]' \
		'--name[What a file that is read from standard input is called in conf.d.]:NAME:' \
		'*:argument:_ten_files'
		;;
	diff)
		_arguments $everywhere \
		'--name[What a file that is read from standard input is called in conf.d.]:NAME:' \
		'--prune[Remove files that ten wrote earlier and that are not among these.]' \
		'*:argument:_ten_files'
		;;
	apply)
		_arguments $everywhere \
		'--confirm[Let go through what is held or waits for confirmation.]' \
		'--dry-run[Say what would be done and do nothing.]' \
		'--force[Take over files that ten did not write.]' \
		'--name[What a file that is read from standard input is called in conf.d.]:NAME:' \
		'--prune[Remove files that ten wrote earlier and that are not among these.]' \
		'*:argument:_ten_files'
		;;
	ps)
		_arguments $everywhere \
		'(-a --all)'{-a,--all}'[Everything, not only what runs or was set.]' \
		'*:argument:'
		;;
	top)
		_arguments $everywhere \
		'(-n --lines)'{-n,--lines}'[How many of the newest, or of those on top.]:N:' \
		'--once[Show it once, also on a terminal.]' \
		'--sort[What comes first\: cpu, memory, pids, read, written, requests, in, out or tenant.]:COLUMN:' \
		'*:argument:_ten_tenants'
		;;
	usage)
		_arguments $everywhere \
		'--by[Sum up by tenant, day or hour (default\: tenant).]:WHAT:' \
		'--since[From when on\: 90m, 24h, 30d ago, or a date such as 2026-11-01 (UTC).]:TIME:' \
		'--until[Until when, said as with --since (default\: now).]:TIME:' \
		'*:argument:_ten_tenants'
		;;
	spawn)
		_arguments $everywhere \
		'--id[The tenant'\''s id.]:ID:' \
		'*:argument:_ten_services'
		;;
	start)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	stop)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	restart)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	suspend)
		_arguments $everywhere \
		'--declare[Write it into conf.d instead of overriding what is declared there.]' \
		'*:argument:_ten_tenants'
		;;
	resume)
		_arguments $everywhere \
		'--declare[Write it into conf.d instead of overriding what is declared there.]' \
		'*:argument:_ten_tenants'
		;;
	hold)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	release)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	why)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	rm)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	events)
		_arguments $everywhere \
		'(-f --follow)'{-f,--follow}'[Go on with what is written from now on.]' \
		'(-n --lines)'{-n,--lines}'[How many of the newest, or of those on top.]:N:' \
		'*:argument:_ten_tenants'
		;;
	logs)
		_arguments $everywhere \
		'(-f --follow)'{-f,--follow}'[Go on with what is written from now on.]' \
		'--level[Only what was written to stdout, or to stderr.]:STREAM:' \
		'(-n --lines)'{-n,--lines}'[How many of the newest, or of those on top.]:N:' \
		'--search[Only lines with these words\: '\''timeout AND NOT health'\'', '\''"connection refused"'\'', level\:error.]:WORDS:' \
		'--since[From when on\: 90m, 24h, 30d ago, or a date such as 2026-11-01 (UTC).]:TIME:' \
		'--until[Until when, said as with --since (default\: now).]:TIME:' \
		'*:argument:_ten_tenants'
		;;
	exec)
		_arguments $everywhere \
		'*:argument:_ten_tenants'
		;;
	route)
		_arguments $everywhere \
		'--declare[Write it into conf.d instead of overriding what is declared there.]' \
		'--from[The instance that has the traffic.]:ID:' \
		'--to[The instance that gets it.]:ID:' \
		'*:argument:_ten_services'
		;;
	weight)
		_arguments $everywhere \
		'--declare[Write it into conf.d instead of overriding what is declared there.]' \
		'*:argument:_ten_tenants'
		;;
	deploy)
		_arguments $everywhere \
		'--declare[Write it into conf.d instead of overriding what is declared there.]' \
		'--weight[Its share of the traffic, 0 to 10000 (default\: 100).]:WEIGHT:' \
		'*:argument:_ten_services'
		;;
	overrides)
		_arguments $everywhere \
		'*:argument:'
		;;
	history)
		_arguments $everywhere \
		'(-n --lines)'{-n,--lines}'[How many of the newest, or of those on top.]:N:' \
		'*:argument:'
		;;
	undo)
		_arguments $everywhere \
		'*:argument:'
		;;
	token-gen)
		_arguments $everywhere \
		'--description[What the token is for, in one line.]:TEXT:' \
		'--expires[When it ends\: in 12h or 90d, or a date such as 2027-11-01 (UTC).]:TIME:' \
		'--instance[For this tenant of one service alone.]:SERVICE:ID:' \
		'--read-only[To see and not to steer.]' \
		'--tenant[For the tenants of this id in every service alone.]:ID:' \
		'*:argument:'
		;;
	tokens)
		_arguments $everywhere \
		'*:argument:'
		;;
	token-revoke)
		_arguments $everywhere \
		'*:argument:'
		;;
	audit)
		_arguments $everywhere \
		'(-n --lines)'{-n,--lines}'[How many of the newest, or of those on top.]:N:' \
		'--since[From when on\: 90m, 24h, 30d ago, or a date such as 2026-11-01 (UTC).]:TIME:' \
		'*:argument:'
		;;
	version)
		_arguments $everywhere \
		'*:argument:'
		;;
	help)
		_arguments $everywhere \
		'--completion[Print the completions for bash, zsh or fish.]:SHELL:' \
		'--man[Print the commands'\'' part of the manual page.]' \
		'*:argument:_ten_commands'
		;;
	esac
}

_ten "$@"

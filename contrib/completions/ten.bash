# Completion of ten(1). Made from its table of commands by `ten help --completion bash`.
_ten() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local line="${COMP_LINE:0:COMP_POINT}" command= flags= words= at skip=
	if [[ $line =~ [^[:space:]]+$ ]]; then word=${BASH_REMATCH[0]}; else word=; fi
	for ((at = 1; at < COMP_CWORD; at++)); do
		if [[ $skip ]]; then skip=; continue; fi
		case ${COMP_WORDS[at]} in
		--data-dir|--conf-dir|--config|--server|--token|--output|-o|--timeout|--by|--completion|--description|--domain|--expires|--from|--id|--instance|--level|--lines|-n|--name|--port|--search|--since|--sort|--tenant|--to|--until|--weight) skip=1 ;;
		-*) ;;
		*) command=${COMP_WORDS[at]}; break ;;
		esac
	done
	case $before in
	--data-dir|--conf-dir|--config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	-o|--output) mapfile -t COMPREPLY < <(compgen -W "csv json text" -- "$word"); return ;;
	esac
	case $command in
	"") words=commands ;;
	init) flags="" words=files ;;
	serve) flags="--domain --port" words= ;;
	status) flags="--check --secrets" words=tenants ;;
	doctor) flags="" words= ;;
	metrics) flags="" words= ;;
	config) flags="--all" words= ;;
	pause) flags="" words= ;;
	unpause) flags="" words= ;;
	upgrade) flags="" words= ;;
	check) flags="--dump-json --name" words=files ;;
	diff) flags="--name --prune" words=files ;;
	apply) flags="--confirm --dry-run --force --name --prune" words=files ;;
	ps) flags="--all" words= ;;
	top) flags="--lines --once --sort" words=tenants ;;
	usage) flags="--by --since --until" words=tenants ;;
	spawn) flags="--id" words=services ;;
	start) flags="" words=tenants ;;
	stop) flags="" words=tenants ;;
	restart) flags="" words=tenants ;;
	suspend) flags="--declare" words=tenants ;;
	resume) flags="--declare" words=tenants ;;
	hold) flags="" words=tenants ;;
	release) flags="" words=tenants ;;
	why) flags="" words=tenants ;;
	rm) flags="" words=tenants ;;
	events) flags="--follow --lines" words=tenants ;;
	logs) flags="--follow --level --lines --search --since --until" words=tenants ;;
	exec) flags="" words=tenants ;;
	route) flags="--declare --from --to" words=services ;;
	weight) flags="--declare" words=tenants ;;
	deploy) flags="--declare --weight" words=services ;;
	overrides) flags="" words= ;;
	history) flags="--lines" words= ;;
	undo) flags="" words= ;;
	token-gen) flags="--description --expires --instance --read-only --tenant" words= ;;
	tokens) flags="" words= ;;
	token-revoke) flags="" words= ;;
	audit) flags="--lines --since" words= ;;
	version) flags="" words= ;;
	help) flags="--completion --man" words=commands ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags --data-dir --conf-dir --config --server --token --output --quiet --no-color --timeout --help" -- "$word")
		return
	fi
	case $words in
	commands) mapfile -t COMPREPLY < <(compgen -W "init serve status doctor metrics config pause unpause upgrade check diff apply ps top usage spawn start stop restart suspend resume hold release why rm events logs exec route weight deploy overrides history undo token-gen tokens token-revoke audit version help" -- "$word") ;;
	files) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	tenants) mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" ps -aq 2>/dev/null)" -- "$word") ;;
	services) mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" ps -aq 2>/dev/null | cut -d: -f1 | sort -u)" -- "$word") ;;
	esac
	# A colon breaks words for bash: give only what comes after the last one.
	if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
	fi
}
complete -o filenames -F _ten ten tenement

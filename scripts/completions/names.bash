# The names that a store knows: _monitor_names senders, or watchdogs. Of a store that is not
# there, or does not answer at once, none.
_monitor_names()
{
	local name i store=${MONITOR_STORE-}

	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-d | --store) store=${words[i + 1]} ;;
		--store=*) store=${words[i]#*=} ;;
		-d?*) store=${words[i]#-d} ;;
		--url | --url=*) return ;;
		esac
	done
	__expand_tilde_by_ref store
	while read -r _ name; do
		[[ $name != "$cur"* ]] || COMPREPLY+=("$(printf %q "$name")")
	done < <(timeout 2 monitor-query ${store:+-d "$store"} "--$1" -o text 2>/dev/null </dev/null)
	__ltrim_colon_completions "$cur"
}

_monitor_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# unix:PATH.
_monitor_unix()
{
	if [[ $cur == unix:* ]]; then
		cur=${cur#unix:}
		_filedir
		COMPREPLY=("${COMPREPLY[@]/#/unix:}")
		__ltrim_colon_completions "unix:$cur"
	else
		_monitor_words unix:
		compopt -o nospace
	fi
}

# Behind "--" there is a command with a line of its own.
_monitor_sink()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			_command_offset $((i + 1))
			return 0
		fi
	done
	return 1
}


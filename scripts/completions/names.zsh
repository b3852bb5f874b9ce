# The names that a store knows: _monitor_names senders, or watchdogs. Of a store that is not
# there, or does not answer at once, none.
_monitor_names() {
	local store=${(Q)${opt_args[-d]:-$opt_args[--store]}}
	local -a names

	(( ! $+opt_args[--url] )) || return
	names=(${${(f)"$(timeout 2 monitor-query ${store:+-d} ${store/#\~\//$HOME/} --$1 -o text 2>/dev/null </dev/null)"}##[ ]#<-> })
	compadd -a names
}

# unix:PATH.
_monitor_unix() {
	if compset -P unix:; then
		_files
	else
		compadd -S '' unix:
	fi
}

# Behind "--" there is a command with a line of its own.
_monitor_sink() {
	local at=$words[(i)--]

	(( at < CURRENT )) || return 1
	shift at words
	(( CURRENT -= at ))
	_normal
	return 0
}


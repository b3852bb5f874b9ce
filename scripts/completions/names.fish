# The names that a store knows: __monitor_names senders, or watchdogs. Of a store that is not
# there, or does not answer at once, none.
function __monitor_names -a kind
	set -l words (commandline -opc)
	set -l store
	for i in (seq (count $words))
		switch $words[$i]
			case -d --store
				set store -d $words[(math $i + 1)]
			case '--store=*'
				set store -d (string replace -- --store= '' $words[$i])
			case --url '--url=*'
				return
		end
	end
	set store (string replace -r '^~(?=/)' ~ -- $store)
	timeout 2 monitor-query $store --$kind -o text 2>/dev/null </dev/null | string replace -r '^ *\d+ ' ''
end

# unix:PATH.
function __monitor_unix
	set -l path (string replace -r '^(--[a-z-]+=)?unix:' '' -- (commandline -ct)); or set path
	printf 'unix:%s\n' (__fish_complete_path $path | string replace -r '\t.*' '')
end

# Behind "--" there is a command with a line of its own.
function __monitor_sink
	set -l words (commandline -opc)
	set -l at (contains -i -- -- $words)
	complete -C (string join -- ' ' (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end

# From the lines of table.awk: completion for fish.
BEGIN { FS = "\t" }

$1 == "program" {
	program = $2
	print "# " program " for fish, made from its --help.\n"
	while ((getline line <names_file) > 0)
		print line
	print ""
}
$1 == "operand" {
	if ($3 != "files")
		print "complete -c " program where($2) " -f"
}
$1 == "sink" {
	print "complete -c " program " -n 'contains -- -- (commandline -opc)' -x -a '(__monitor_sink)'"
}
$1 == "verb" {
	verbs++
	print "complete -c " program " -n __fish_use_subcommand -f -a " $2 " -d " quoted($3)
}
$1 == "option" {
	print "complete -c " program where($2) ($3 != "-" ? " -s " $3 : "") " -l " $4 \
	    action($5, $6, $7) " -d " quoted($9)
}

function where(verb) {
	if (verb != "-")
		return " -n '__fish_seen_subcommand_from " verb "'"
	return verbs ? " -n __fish_use_subcommand" : ""
}

function quoted(s) {
	gsub(/[\\']/, "\\\\&", s)
	return "'" s "'"
}

function action(takes, kind, words) {
	if (takes == "no")
		return ""
	if (kind == "files")
		return " -r -F"
	if (kind == "words")
		words = " -a '" words "'"
	else if (kind == "unix")
		words = " -a '(__monitor_unix)'"
	else if (kind != "other")
		words = " -a '(__monitor_names " kind ")'"
	return (takes == "must" ? " -x" : " -f") words
}

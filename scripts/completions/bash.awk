# From the lines of table.awk: completion for bash, with the functions of bash-completion.
BEGIN { FS = "\t" }

$1 == "program" { program = $2; prefix = "_" $2; gsub(/-/, "_", prefix) }
$1 == "operand" { verbs[++n] = $2; operand[$2] = action($3) }
$1 == "sink" { sink[$2] = 1 }
$1 == "verb" { names = names (names != "" ? " " : "") $2 }
$1 == "option" {
	options[$2] = options[$2] (options[$2] != "" ? " " : "") "--" $4 ($5 == "must" ? "=" : "")
	if ($5 != "no")
		add_value($2, ($3 != "-" ? "-" $3 " | " : "") "--" $4, $5, action($6, $7))
}

function action(kind, words) {
	if (kind == "words")
		return "_monitor_words '" words "'"
	if (kind == "files")
		return "_filedir"
	if (kind == "unix")
		return "_monitor_unix"
	return kind == "other" ? "return" : "_monitor_names " kind
}

# Options with the same action share a case of it.
function add_value(verb, name, takes, what, i) {
	for (i = 1; i <= cases[verb] && doing[verb, i] != takes " " what; i++)
		;
	if (i > cases[verb])
		cases[verb] = i
	doing[verb, i] = takes " " what
	labels[verb, i] = labels[verb, i] (labels[verb, i] != "" ? " | " : "") name
}

# A value that may be left out stands behind "=", never in a word of its own.
function print_cases(verb, i, what, tab) {
	print "\tcase $prev in"
	for (i = 1; i <= cases[verb]; i++) {
		what = doing[verb, i]
		tab = sub(/^may /, "", what) ? "\t" : ""
		sub(/^must /, "", what)
		print "\t" labels[verb, i] ")"
		if (tab != "")
			print "\t\tif $split; then"
		print tab "\t\t" what
		if (what != "return")
			print tab "\t\treturn"
		if (tab != "")
			print "\t\tfi"
		print "\t\t;;"
	}
	print "\tesac"
}

function print_verb(verb) {
	print "\n" prefix "_" (verb != "-" ? verb : "") "()\n{"
	if (verb in sink)
		print "\t_monitor_sink && return"
	if (verb in cases)
		print_cases(verb)
	print "\t! $split || return"
	print "\tif [[ $cur == -* ]]; then"
	print "\t\t_monitor_words '" options[verb] "'"
	print "\t\t[[ ${COMPREPLY-} != *= ]] || compopt -o nospace"
	print (operand[verb] != "return" ? "\telse\n\t\t" operand[verb] "\n" : "") "\tfi\n}"
}

END {
	print "# " program " for bash, made from its --help.\n"
	while ((getline line <names_file) > 0)
		print line
	if (names != "")
		operand["-"] = action("words", names)
	for (i = 1; i <= n; i++)
		print_verb(verbs[i])
	print "\n" prefix "()\n{"
	print "\tlocal cur prev words cword split\n"
	print "\t_init_completion -s -n : || return"
	if (names != "") {
		print "\tif ((cword > 1)) && [[ ' " names " ' == *\" ${words[1]} \"* ]]; then"
		print "\t\t" prefix "_\"${words[1]}\""
		print "\telse\n\t\t" prefix "_\n\tfi"
	} else
		print "\t" prefix "_"
	print "}"
	print "complete -F " prefix " " program
}

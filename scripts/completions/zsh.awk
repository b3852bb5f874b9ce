# From the lines of table.awk: completion for zsh.
BEGIN { FS = "\t" }

$1 == "program" { program = $2 }
$1 == "operand" { verbs[++n] = $2; operand[$2] = $3 == "files" ? " \\\n\t\t'*:file:_files'" : "" }
$1 == "sink" { sink[$2] = "_monitor_sink || " }
$1 == "verb" { names = names " \\\n\t\t\t" quoted($2 ":" $3) }
$1 == "option" {
	many = $8 == "yes" ? "'*'" : $3 != "-" ? "'(-" $3 " --" $4 ")'" : ""
	text = $9
	gsub(/[][\\:]/, "\\\\&", text)
	end = $5 == "must" ? "=" : $5 == "may" ? "=-" : ""
	if ($3 != "-")
		name = many "{-" $3 ($5 == "must" ? "+" : "") ",--" $4 end "}"
	else
		name = many "--" $4 end
	options[$2] = options[$2] " \\\n\t\t" name quoted("[" text "]" action($5, $6, $7))
}

function quoted(s) {
	gsub(/'/, "'\\''", s)
	return "'" s "'"
}

function action(takes, kind, words) {
	if (takes == "no")
		return ""
	if (kind == "words")
		words = "(" words ")"
	else if (kind == "files")
		words = "_files"
	else if (kind == "unix")
		words = "_monitor_unix"
	else
		words = kind == "other" ? " " : "{_monitor_names " kind "}"
	return (takes == "may" ? "::" : ":") "value:" words
}

function print_options(verb) {
	print "\t" sink[verb] "_arguments -s -S :" options[verb] operand[verb]
}

END {
	print "#compdef " program
	print "# Made from its --help.\n"
	while ((getline line <names_file) > 0)
		print line
	if (names == "") {
		print_options("-")
		exit
	}
	print "local curcontext=$curcontext state line ret=1"
	print "typeset -A opt_args\n"
	print "_arguments -C -s -S :" options["-"] " \\\n\t\t'(-)1:verb:->verb' '(-)*:: :->rest' && ret=0"
	print "case $state in\nverb)\n\tlocal -a verbs=(" names ")"
	print "\t_describe verb verbs && ret=0\n\t;;\nrest)\n\tcase $words[1] in"
	for (i = 1; i <= n; i++)
		if (verbs[i] != "-") {
			print "\t" verbs[i] ")"
			print_options(verbs[i])
			print "\tret=$?\n\t;;"
		}
	print "\tesac\n\t;;\nesac\nreturn ret"
}

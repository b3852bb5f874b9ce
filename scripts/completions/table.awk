# Reads --help of a program, then of its verbs; writes a line for each thing that may stand on
# its command line, with tabs between:
#
#   program NAME
#   verb    VERB ABOUT
#   option  VERB LETTER NAME TAKES KIND WORDS MANY HELP
#   operand VERB KIND
#   sink    VERB
#
# VERB is "-" for what the program takes without one, LETTER is "-" where there is none. TAKES
# is no, must or may. KIND says what the value is: words (these are they), files, unix ("unix:"
# and a path), senders, watchdogs, or other. MANY is yes for an option that may be repeated.
BEGIN {
	OFS = "\t"
	kinds["FILE"] = kinds["OLD"] = kinds["KEY"] = "files"
	kinds["NAME"] = "senders"
	kinds["CODE"] = "watchdogs"
	words["LEVEL"] = words["LEVEL[..LEVEL]"] = "error warning notice info debug verbose"
	words["BOOL"] = "no yes"
}

/^usage: / {
	if (program == "")
		print "program", program = $2
	verb = $3 ~ /^[a-z]+$/ ? $3 : "-"
	print "operand", verb, / \[?FILE/ ? "files" : "other"
	if (/\[-- SINK/)
		print "sink", verb
	next
}

/^Verbs:$/, /^$/ {
	if (/^  /)
		print "verb", $1, after($1)
	next
}

/^ +-/ { print_option() }

# What stands behind this word and the spaces that follow it.
function after(word, s) {
	s = substr($0, index($0, word) + length(word))
	sub(/^ +/, "", s)
	return s
}

# The values that a help text lists: "text, ndjson or wire", "log (default) or notification".
function listed(help) {
	gsub(/ \(default\)/, "", help)
	if (!match(help, /[a-z]+(, [a-z]+)*,? or [a-z]+/)) {
		print "table.awk: no values in: " help >"/dev/stderr"
		exit 1
	}
	help = substr(help, RSTART, RLENGTH)
	gsub(/,? or |, /, " ", help)
	return help
}

function print_option(letter, name, arg, takes, kind, values, help) {
	letter = $1 ~ /^-[A-Za-z]/ ? substr($1, 2, 1) : "-"
	name = letter == "-" ? $1 : $2
	help = after(name)
	takes = name !~ /=/ ? "no" : name ~ /\[=/ ? "may" : "must"
	if (takes != "no") {
		arg = substr(name, index(name, "=") + 1)
		if (takes == "may")
			sub(/\]$/, "", arg)
		sub(/\[?=.*/, "", name)
	}
	name = substr(name, 3)
	kind = arg in kinds ? kinds[arg] : "other"
	if (arg in words)
		values = words[arg]
	else if (arg ~ /^(FORMAT|KIND|ROLE|WHEN)$/)
		values = listed(help)
	if (arg ~ /\|/) {
		values = arg
		gsub(/\|/, " ", values)
	}
	if (values != "")
		kind = "words"
	else if (name == "store")
		kind = "files"
	else if (arg == "unix:PATH" || help ~ /unix:PATH/)
		kind = "unix"
	print "option", verb, letter, name, takes, kind, values, help ~ /may be (given|repeated)/ ? "yes" : "no", help
}

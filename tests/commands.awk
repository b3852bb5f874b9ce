# The commands that a manual shows, a file each. They stand in .Bd or .Dl, begin with "$ ", or
# with "# " for root, and go on in lines that begin with "> ". The comment  .\" not run: WHY
# before one leaves it out. Settings are lines NAME=VALUE in .Bd.
#
#   awk -v name=NAME -v only=SECTION|-v but=SECTION -f commands.awk PAGE
#
# makes NAME-NN.user, NAME-NN.root and NAME-NN.setting.

function unescape(s) {
	gsub(/\\\(rs|\\e/, "\\", s)
	gsub(/\\\(aq/, "\047", s)
	gsub(/\\\(dq/, "\"", s)
	gsub(/\\&/, "", s)
	gsub(/\\-/, "-", s)
	return s
}
function begin(kind, s) {
	out = ""
	if (!skip) {
		out = sprintf("%s-%02d.%s", name, ++n, kind)
		print unescape(s) >out
	}
	skip = 0
}

/^\.Sh / { section = substr($0, 5) }
(only && section != only) || (but && section == but) { next }
/^\.\\" not run: ./ { skip = 1; next }
/^\.Bd / { literal = 1 }
/^\.Ed/ { literal = 0 }
{ text = $0; shown = literal || sub(/^\.Dl /, "", text) }
shown && text ~ /^\$ / { begin("user", substr(text, 3)); next }
shown && text ~ /^# / { begin("root", substr(text, 3)); next }
literal && text ~ /^[A-Za-z_]+=/ { begin("setting", text); next }
text ~ /^> / && out != "" { print unescape(substr(text, 3)) >out; next }
{ out = "" }

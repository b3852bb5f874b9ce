# What operators read, for check-install.sh: the commands and settings of README.md and of
# monitor-operations(7) are taken from the pages themselves, and typed word for word. What is
# left in $PAGES in the end was typed by nobody.

# pages_take DIR: take them, a file each. monitor-operations(7) says who types what (see
# commands.awk), README.md in words; there a command goes on in lines that are indented.
pages_take() {
	PAGES=$1
	mkdir -p "$PAGES/typed"
	awk -v name="$PAGES/operations" -v but=EXAMPLES -f tests/commands.awk man/monitor-operations.7
	awk -v name="$PAGES/readme" '
		/^```/ { on = $0 == "```sh"; if (on) block++; n = 0; next }
		!on || /^$/ { next }
		/^[^ ]/ { out = sprintf("%s-%02d-%02d.line", name, block, ++n) }
		{ print >out }' README.md
}

# page KIND TEXT: the file of the first that is left and begins so.
page() {
	local file

	for file in "$PAGES"/*."$1"; do
		[[ $(<"$file") != "$2"* ]] || { echo "$file"; return; }
	done
	echo "the pages have no (more) $1: $2" >&2
	return 1
}

# as WHO COMMAND: as it is typed by root, by anna, or by anna in the project's directory (there).
as() {
	local shell=(setsid --wait bash -euo pipefail -c "$2")

	case $1 in
	root) inside env -C /root HOME=/root "${shell[@]}" ;;
	anna) as_user anna env -C /home/anna HOME=/home/anna USER=anna "${shell[@]}" ;;
	there) as_user anna env -C /home/anna/monitor HOME=/home/anna USER=anna "${shell[@]}" ;;
	esac
}
as_user() { inside setpriv "--reuid=$1" "--regid=$1" --init-groups "${@:2}"; }

# root_types TEXT, anna_types TEXT: the manual's next command for them that begins so.
root_types() { type_in root root "$1"; }
anna_types() { type_in user anna "$1"; }
# readme WHO TEXT: the same of README.md, which says in words who.
readme() { type_in line "$1" "$2"; }
type_in() {
	local file

	file=$(page "$1" "$3")
	as "$2" "$(<"$file")"
	mv "$file" "$PAGES/typed"
}
# readme_block WHO TEXT: all commands of the block whose first one begins so, in one shell;
# what they leave running ends with it.
readme_block() {
	local first block

	first=$(page line "$2")
	block=("${first%-*}"-*)
	as "$1" "$(cat "${block[@]}"; echo 'for job in $(jobs -p); do kill "$job"; done; wait')"
	mv "${block[@]}" "$PAGES/typed"
}

# set_up NAME: the setting that the manual shows is put into monitor.conf.
set_up() {
	local file

	file=$(page setting "$1=")
	setting "$1" "$(sed 's/^[^=]*=//' "$file")"
	mv "$file" "$PAGES/typed"
}
setting() { inside sed -i "s|^$1=.*|$1=$2|" /etc/monitor/monitor.conf; }

# pages_left [PREFIX REASON]...: what nobody typed is what begins with one of these, which is
# shown with its reason, or what was typed elsewhere with the same words.
pages_left() {
	local file

	for file in "$PAGES"/*.*; do
		[ -e "$file" ] || break
		grep -qxFf "$file" "$PAGES"/typed/* || left_for_a_reason "$file" "$@"
	done
}
left_for_a_reason() {
	local text

	text=$(sed '1q' "$1")
	shift
	while [ $# -gt 0 ]; do
		[[ $text != "$1"* ]] || { echo "# not typed, as $2: $text"; return; }
		shift 2
	done
	echo "nobody types: $text" >&2
	return 1
}

# tour RUN...: what README.md's tour prints, if RUN runs each of its commands, against what it
# shows. How much a file takes on the disk is the filesystem's business.
tour() {
	sed -n '/^```console$/,/^```$/ { /^```/!p }' "$PROJECT/README.md" >expected
	[ "$(grep -c '^\$ ' expected)" -gt 10 ]
	sed -n 's/^\$ //p' expected | while read -r command; do
		printf '$ %s\n' "$command"
		"$@" "$command" </dev/null 2>&1 || echo "(status $?)"
	done >got
	sed -i -E 's/[0-9.]+ (bytes|[KM]iB) (given|on)/SIZE \2/g' expected got
	diff expected got
}

#!/bin/sh
# What a shell needs to complete a program's command line, made from what the program itself
# prints for --help, and so from its tables of options:
#
#   make.sh bash|zsh|fish PROGRAM
set -eu
shell=$1 program=$2
here=$(dirname "$0")

# The program's, then its verbs'.
help=$("$program" --help)
for verb in $(echo "$help" | sed -n '/^Verbs:$/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	more=$("$program" "$verb" --help)
	help="$help
$more"
done
table=$(echo "$help" | awk -f "$here/table.awk")
echo "$table" | awk -v names_file="$here/names.$shell" -f "$here/$shell.awk"

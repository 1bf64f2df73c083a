# Prints what bash completes. Usage: bash complete.bash COMPLETION-FILE WORD...; the cursor is at the end of the last word.
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMPREPLY=()
_vmspawn
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"

# Prints what zsh completes, one match a line. Usage: zsh -f complete.zsh COMPLETION-DIRECTORY SCRATCH-DIRECTORY LINE
# A shell on a pseudoterminal gets the line and a tab; compadd, by which every completion offers its matches, reports them.
zmodload zsh/zpty || exit 1
directory=$1 scratch=$2 line=$3
cat >$scratch/setup.zsh <<'SETUP'
PS1= PS2= RPS1=
unsetopt prompt_sp prompt_cr beep
autoload -Uz compinit
compinit -u -d $scratch/dump
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "$@"
    return
  fi
  local -a report_matches
  builtin compadd -A report_matches "$@"
  (( $#report_matches )) && print -rl -- $report_matches >>$scratch/matches
  builtin compadd "$@"
}
finished() { compstate[insert]= compstate[list]=; : >>$scratch/matches; mv $scratch/matches $scratch/done }
compprefuncs=()
comppostfuncs=(finished)
bindkey '^I' complete-word
SETUP
zpty shell zsh -f -i
zpty -w shell "scratch=$scratch fpath=($directory \$fpath); source $scratch/setup.zsh; cd $scratch/files; : >$scratch/ready"
while [[ ! -e $scratch/ready ]]; do zpty -r -t shell ignored; sleep 0.02; done
zpty -w -n shell "$line"$'\t'
for (( tries = 0; tries < 1000; tries++ )); do
  [[ -e $scratch/done ]] && break
  zpty -r -t shell ignored
  sleep 0.02
done
# The inner shell ends before the outer one does, so that nobody else has to reap it.
zpty -w -n shell $'\x03\x15exit\n'
for (( tries = 0; tries < 500; tries++ )); do
  zpty -t shell || break
  zpty -r -t shell ignored
  sleep 0.02
done
zpty -d shell
cat $scratch/done

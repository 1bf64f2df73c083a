# What the guest builders share: the cache, progress, packages and boot parts. To be sourced, after these are set:
#   name      what is built: `debian` or `small`
#   packages  array of Debian packages that go in
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154

suite=trixie
mirror=http://deb.debian.org/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${VMSPAWN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmspawn}
guests=$cache/guests
archives=$cache/packages
builders=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# Partition types of the Discoverable Partitions Specification.
type_esp=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
type_root=4f68bce3-e8cd-4db1-96e7-fbcaf984b709

export LC_ALL=C.UTF-8
umask 022

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$name guest: $*"
    exit 1
}

# step WORDS: one line of progress with the seconds since the start.
step() { printf '[%3d s] %s guest: %s\n' "$SECONDS" "$name" "$*" >&2; }

# run COMMAND...: its output goes to the log, which is shown only when it fails.
run() {
    printf '+ %s\n' "$*" >> "$log"
    "$@" >> "$log" 2>&1 < /dev/null || {
        tail -n 30 "$log" >&2
        die "failed: $1"
    }
}

# need COMMAND:PACKAGE...
need() {
    local pair missing=()
    for pair; do
        [ -e "/${pair%%:*}" ] || command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} = 0 ] || die "these Debian packages are missing: ${missing[*]}. \`scripts/setup test\` installs them."
}

# begin NAME: looks for $guests/NAME-KEY, prints it and ends when it is there. Otherwise takes the lock, so that a
# second start waits and then finds the result, and makes $work and $log. The key covers everything that is built in.
begin() {
    local file key
    file=$(realpath "$0")
    key=$({
        printf '%s\n' "$suite" "$mirror" "${packages[@]}"
        cat "$file" "$builders/common.sh" "${@:2}"
    } | sha256sum | cut -c1-16)
    result=$guests/${1/KEY/$key}
    print_result_and_end_if_there
    [ "$(dpkg --print-architecture)" = amd64 ] || die "the guests can be built on amd64 only."
    mkdir -p "$guests" "$archives"
    exec {lock}> "$guests/.lock"
    if ! flock -n "$lock"; then
        step 'another build runs, waiting for it'
        flock "$lock"
        print_result_and_end_if_there
    fi
    # A build that was killed leaves its directory; nobody else works here while the lock is held.
    rm -rf "$guests"/.build.*
    work=$(mktemp -d "$guests/.build.XXXXXX")
    log=$work/log
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    cd "$work" || exit
}

print_result_and_end_if_there() {
    [ -e "$result" ] || return 0
    printf '%s\n' "$result"
    exit 0
}

# finish PATH: the complete PATH takes its place under its final name in one step; older ones of its kind go.
finish() {
    local old
    for old in "$guests/$name"-*; do rm -rf "$old"; done
    sync -f "$1"
    mv -T "$1" "$result"
    step 'done'
    printf '%s\n' "$result"
}

# Makes $work/apt, an apt of our own: the suite of the guest with the host's sources and state left alone.
private_apt() {
    mkdir -p apt/state/lists/partial apt/cache
    : > apt/status
    [ -e "$keyring" ] || die "$keyring is missing; the Debian package debian-archive-keyring has it."
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" > apt/sources.list
    mkdir -p "$archives/partial"
    cat > apt/apt.conf <<CONFIGURATION
Dir::State "$work/apt/state";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
Dir::Cache::archives "$archives";
Dir::Etc::sourcelist "$work/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONFIGURATION
    export APT_CONFIG=$work/apt/apt.conf
    run apt-get update
}

# kernel_of TREE: sets $version, the newest kernel's, and $vmlinuz, its path.
kernel_of() {
    vmlinuz=$(find "$1/boot" -name 'vmlinuz-*' | sort -V | tail -n 1)
    [ -n "$vmlinuz" ] || die 'there is no kernel in the tree.'
    version=${vmlinuz##*/vmlinuz-}
}

# unified_kernel STUB OUTPUT SECTION=FILE...: puts the sections into systemd's stub (UAPI.5, Unified Kernel Image).
# Each goes to the next free address at the stub's section alignment, as the firmware's loader wants it.
unified_kernel() {
    local stub=$1 output=$2 section file size address end alignment arguments=()
    alignment=$((16#$(objdump -p "$stub" | awk '$1 == "SectionAlignment" { print $2 }')))
    end=0
    while read -r size address; do
        ((16#$address + 16#$size > end)) && end=$((16#$address + 16#$size))
    done < <(objdump -h "$stub" | awk '$1 ~ /^[0-9]+$/ { print $3, $4 }')
    for section in "${@:3}"; do
        file=${section#*=}
        end=$(((end + alignment - 1) / alignment * alignment))
        arguments+=(--add-section ".${section%%=*}=$file" --change-section-vma ".${section%%=*}=$end")
        end=$((end + $(stat -L -c %s "$file")))
    done
    run objcopy "${arguments[@]}" "$stub" "$output"
}

# busybox_initrd TREE INIT OUTPUT MODULE...: an initrd of busybox, the script INIT as /init and the kernel modules with
# what they depend on, for $version. What is missing in the kernel package is built into the kernel, or not there.
busybox_initrd() {
    local tree=$1 init=$2 output=$3 root=$work/initrd.root number=100 applet module word path
    local -A loaded=()
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,root,modules}
    cp "$tree/usr/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    install -m 755 "$init" "$root/init"
    # Unpacked, under a number that gives the order: the guest then neither searches nor decompresses.
    for module in "${@:4}"; do
        while read -r word path _; do
            if [ "$word" != insmod ] || [ -n "${loaded[$path]:-}" ]; then continue; fi
            loaded[$path]=yes
            xz -dc "$path" > "$root/modules/$number-$(basename "$path" .xz)"
            number=$((number + 1))
        done < <(modprobe -d "$tree/usr" -S "$version" --show-depends "$module" 2>> "$log")
    done
    [ "$number" -gt 100 ] || die 'none of the modules was found.'
    (cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) > "$output" 2>> "$log"
}

#!/bin/sh
# Installs the gate on a host: the part of `locum enrol` that runs there as root, read from standard input.
#
# `locum enrol` defines these variables before this text:
#   mode            look (change nothing) or install
#   host, address   the host that this machine must be, and the address that identifies it
#   user            the login user of the locum keys; empty: no key may log in (the actuator's own host)
#   sudo_user       the user that may run the gate as root through sudo
#   gate, host_file, keys    the wanted files, in base64
#   runner          the user that runs locum on this host; empty: it does not run here
#   state_directory, private    what the runner owns: a directory, and files, one per line
#   guard_wish and more         the boot guard: install_guard.sh, which precedes this text
# It prints lines `locum-install KEY VALUE`; the last one is `locum-install done`. Repeating it is harmless.
#
# shellcheck disable=SC2154  # the words above are set by `locum enrol`
set -eu

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 022

GATE=/usr/local/lib/locum/gate
HOST_FILE=/etc/locum/gate.conf
HOME_DIRECTORY=/var/lib/locum-gate
RUN_DIRECTORY=/run/locum-gate
SUDOERS=/etc/sudoers.d/locum-gate
HOST_KEY=/etc/ssh/ssh_host_ed25519_key.pub

report_line() { printf 'locum-install %s\n' "$*"; }
fail() { report_line failed "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# state WANTED THERE: absent, same or differs.
state() {
    if [ ! -e "$2" ]; then echo absent; elif cmp -s "$1" "$2"; then echo same; else echo differs; fi
}

# put WANTED THERE MODE: replaces the file atomically.
put() {
    if [ "$(state "$1" "$2")" != same ]; then
        cp "$1" "$2.locum-new"
        chmod "$3" "$2.locum-new"
        chown 0:0 "$2.locum-new"
        mv -f "$2.locum-new" "$2"
    fi
    chmod "$3" "$2"
    chown 0:0 "$2"
}

# own DIRECTORY: creates it if missing; only root may own and write it.
own() {
    [ -d "$1" ] || mkdir -p "$1"
    chown 0:0 "$1"
    chmod go-w "$1"
}

prepare() {
    printf %s "$gate" | base64 -d >"$scratch/gate"
    printf %s "$host_file" | base64 -d >"$scratch/host_file"
    printf %s "$keys" | base64 -d >"$scratch/keys"
    prepare_guard
    cat >"$scratch/sudoers" <<RULE
# Written by locum enrol: the gate is the one program that $sudo_user may run as root without a password.
# It is run in place of sudo, with no terminal or session around it: that would be processes more a call.
Defaults!$GATE !requiretty, !use_pty, !pam_session, !pam_setcred
# It is asked every few seconds, and says itself in the log what it changed: sudo need not say each call as well.
Defaults!$GATE !log_allowed
# Debian's sudo else looks its own host name up at every call: with DNS gone that takes 20 seconds.
Defaults:$sudo_user !fqdn
$sudo_user ALL=(root) NOPASSWD: $GATE
RULE
}

# Another machine must not get this host's file: locum would act on the wrong host.
check_machine() {
    case $address in 127.* | ::1) return 0 ;; esac
    doubt="it cannot be determined whether this machine is $host"
    has ip || fail "$doubt: ip is missing"
    listed=$(ip -o addr show 2>/dev/null) || fail "$doubt: ip could not list its addresses"
    case $listed in
        *" inet $address/"* | *" inet6 $address/"* | *" inet $address "* | *" inet6 $address "*) ;;
        *) fail "this machine is not $host: none of its interfaces has $address; nothing was done" ;;
    esac
}

# Sets home, and keeper, its owner. In the home directory of another user's account root neither reads nor writes,
# because any name in it may be a link: that is done as that user (as_keeper).
find_home() {
    home=$HOME_DIRECTORY keeper=root
    if [ -n "$user" ] && entry=$(getent passwd "$user"); then
        home=$(echo "$entry" | cut -d: -f6)
    fi
    authorized=$home/.ssh/authorized_keys
    [ ! -d "$home" ] || [ -O "$home" ] || keeper=$user
}

as_keeper() {
    if [ "$keeper" = root ]; then "$@"; return; fi
    setpriv --reuid="$keeper" --regid="$(id -g "$keeper")" --init-groups -- "$@"
}

# Other keys stay. Lines that run the gate are locum's own: a replaced key must be removed.
merge_keys() {
    as_keeper cat "$authorized" >"$scratch/there" 2>/dev/null || :
    grep -vF "command=\"$GATE " "$scratch/there" >"$scratch/merged" || :
    cat "$scratch/keys" >>"$scratch/merged"
}

keys_state() {
    if [ "$keeper" != root ] && [ -O "$home/.ssh" ]; then echo differs; return; fi     # as version 0.1.0 left it
    if [ ! -s "$scratch/there" ]; then echo absent; return; fi
    state "$scratch/merged" "$scratch/there"
}

# Sets unusable to the reason why the account cannot run the gate over SSH, with the remedy; empty if it can.
judge_account() {
    unusable=''
    { [ -n "$user" ] && entry=$(getent passwd "$user"); } || return 0
    case ${entry##*:} in
        */nologin | */false) unusable="its login shell is ${entry##*:}: usermod --shell /bin/sh $user"; return ;;
    esac
    IFS=: read -r _ _ changed _ most _ _ expires _ <<SHADOW
$(getent shadow "$user")
SHADOW
    today=$(($(date +%s) / 86400))
    if [ -n "$expires" ] && [ "$expires" -ge 0 ] && [ "$expires" -le "$today" ]; then
        unusable="the account has expired: chage --expiredate -1 $user"
    elif [ "$changed" = 0 ] || { [ -n "$changed" ] && [ -n "$most" ] && [ "$most" -ge 0 ] &&
        [ "$((changed + most))" -lt "$today" ]; }; then
        unusable="its password has expired, and sshd asks for another one before anything runs: \
chage --maxdays -1 --lastday $(date +%F) $user"
    fi
}

# Whether locum created the account: then it may be changed.
is_own_account() { [ "$home" = "$HOME_DIRECTORY" ] || [ "$user" = "$runner" ]; }

check_account() {
    judge_account
    [ -z "$unusable" ] || is_own_account || fail "user $user cannot log in: $unusable"
    [ "$keeper" = root ] || has setpriv || fail "setpriv is missing: on Debian it is in util-linux"
    [ -d "$home" ] || [ "$home" = "$HOME_DIRECTORY" ] || fail "user $user has no home directory: $home is not there"
}

wants_sudo_rule() {
    [ "$sudo_user" != root ] || return 1
    [ "$sudo_user" = "$user" ] || [ "$sudo_user" = "$runner" ] || getent passwd "$sudo_user" >/dev/null
}

report() {
    report_line gate "$(state "$scratch/gate" "$GATE")"
    report_line host_file "$(state "$scratch/host_file" "$HOST_FILE")"
    if [ -n "$user" ]; then
        judge_account
        if [ -n "$unusable" ]; then report_line user differs
        elif getent passwd "$user" >/dev/null; then report_line user same
        else report_line user absent
        fi
        merge_keys
        report_line keys "$(keys_state)"
    fi
    report_runner
    ! wants_sudo_rule || report_line sudo_rule "$(state "$scratch/sudoers" "$SUDOERS")"
    for program in ip flock setsid mkfifo dd sha256sum stat arping perl rsync unshare setpriv mount awk; do
        has "$program" || report_line missing "$program"
    done
    ! wants_sudo_rule || { has sudo && has visudo; } || report_line missing sudo
    report_guard
    [ ! -r "$HOST_KEY" ] || report_line host_key "$(cut -d' ' -f1,2 "$HOST_KEY")"
}

# Whether the runner owns the existing files, and only the runner can read the secrets.
runner_owns_all() {
    [ "$(stat -c %U "$state_directory" 2>/dev/null)" = "$runner" ] || return 1
    printf '%s\n' "$private" | while IFS= read -r file; do
        [ ! -e "$file" ] || [ "$(stat -c %U:%a "$file")" = "$runner:600" ] || exit 1
    done
}

report_runner() {
    [ -n "$runner" ] || return 0
    if getent passwd "$runner" >/dev/null; then report_line runner same; else report_line runner absent; fi
    if runner_owns_all; then report_line private same; else report_line private differs; fi
}

make_runner() {
    [ -n "$runner" ] || return 0
    if ! getent passwd "$runner" >/dev/null; then
        useradd --system --home-dir "$state_directory" --no-create-home --shell /usr/sbin/nologin "$runner" ||
            fail "useradd could not make user $runner"
    fi
    mkdir -p "$state_directory"
    chown "$runner:" "$state_directory"
    chmod 750 "$state_directory"
    printf '%s\n' "$private" | while IFS= read -r file; do
        [ ! -e "$file" ] || give_to_runner "$file" || exit 1
    done || exit 1
}

# give_to_runner FILE: follows no symbolic link, because the directory may belong to the runner.
give_to_runner() {
    ( cd -P -- "${1%/*}" && [ "$PWD" = "${1%/*}" ] && [ ! -L "./${1##*/}" ] && chown -h "$runner:" "./${1##*/}" &&
        setpriv --reuid="$runner" --regid="$(id -g "$runner")" --init-groups -- chmod 600 "./${1##*/}" ) ||
        fail "$1 cannot be given to $runner: no part of its path may be a symbolic link"
}

make_user() {
    [ -n "$user" ] || return 0
    if ! getent passwd "$user" >/dev/null; then
        # No password can match '*'; unlike '!' it does not lock the account, which sshd would refuse.
        own "$HOME_DIRECTORY"
        useradd --system --home-dir "$HOME_DIRECTORY" --no-create-home --shell /bin/sh --password '*' "$user" ||
            fail "useradd could not make user $user"
    fi
    judge_account
    while [ -n "$unusable" ]; do
        was=$unusable
        # shellcheck disable=SC2086  # the remedy, a command from this file
        ${unusable#*: } || fail "user $user cannot log in: $unusable"
        judge_account
        [ "$unusable" != "$was" ] || fail "user $user cannot log in: $unusable"
    done
}

# Gives back what version 0.1.0 changed to root in the home directory of a user's account.
give_back() {
    [ -d "$home/.ssh" ] && [ -O "$home/.ssh" ] || return 0
    ( cd -P "$home" && at=$PWD && cd -P .ssh && [ "$PWD" = "$at/.ssh" ] && [ -O . ] &&
        { [ ! -e authorized_keys ] || chown -h --from=0 "$user:" authorized_keys; } &&
        chown "$user:" . && chmod 700 . ) || fail "$home/.ssh could not be given back to $user"
}

install_keys() {
    [ -n "$user" ] || return 0
    find_home
    [ -d "$home" ] || own "$home"
    if [ "$keeper" != root ]; then
        give_back
        merge_keys
        # shellcheck disable=SC2016  # the inner shell's
        as_keeper sh -c '
            umask 077
            mkdir -p "$1/.ssh" && cat >"$2.locum-new" && mv -f "$2.locum-new" "$2"
        ' sh "$home" "$authorized" <"$scratch/merged" || fail "$authorized cannot be written by $keeper"
        return
    fi
    merge_keys
    own "$home/.ssh"
    chmod 755 "$home/.ssh"
    put "$scratch/merged" "$authorized" 644
}

install_sudo_rule() {
    wants_sudo_rule || return 0
    visudo -cqf "$scratch/sudoers" >/dev/null 2>&1 || fail "visudo does not accept the sudo rule"
    put "$scratch/sudoers" "$SUDOERS" 440
}

install_all() {
    for program in ip flock setsid; do
        has "$program" || fail "$program is missing"
    done
    ! wants_sudo_rule || has visudo || fail "sudo is missing"
    own "${GATE%/*}"
    own "${HOST_FILE%/*}"
    own "$HOME_DIRECTORY"
    [ ! -d "$RUN_DIRECTORY" ] || chmod 700 "$RUN_DIRECTORY"     # version 0.1.0 left its locks open to others
    put "$scratch/gate" "$GATE" 755
    put "$scratch/host_file" "$HOST_FILE" 600
    make_user
    make_runner
    install_sudo_rule
    install_guard
    install_keys    # last, so that a key works only when everything is in place
}

main() {
    [ "$(id -u)" = 0 ] || fail "this needs root"
    check_machine
    prepare
    find_home
    check_account
    [ "$mode" = look ] || install_all
    report
    report_line 'done'
}

main </dev/null     # no program in it may read the rest of this text

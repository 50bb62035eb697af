#!/bin/sh
# locum's gate: the only program on this host that a locum key may run. `locum enrol` installs it.
#
#   gate ROLE                          words come from SSH_ORIGINAL_COMMAND (forced command of authorized_keys)
#   gate ROLE status [SERVICE]         reports held addresses and running processes
#   gate ROLE watch                    counts processes, once for each line `look N` on standard input
#   gate ROLE VERB SERVICE EPOCH       stop or release, then reports the status
#   gate ROLE VERB SERVICE EPOCH BOOT_ID GOOD_UNTIL [ADDRESS...]     respawn, start or claim, the same
#   gate ROLE store-epoch SERVICE EPOCH    stores an epoch and does nothing else
#   gate ROLE reset-epoch SERVICE EPOCH    replaces an epoch that is damaged or far too high
#   gate ROLE mirror-… SERVICE …       the data: gate_mirror.sh, which is a part of this file once it is installed
#
# ROLE is `actuator` or `exporter`; an exporter may only watch and status. CONFIG, which root owns,
# defines what a verb runs: nothing received over the network is a command or part of one. docs/gate.md has the protocol.
# Plain POSIX sh; the scan of the process table forks nothing.
#
# shellcheck disable=SC2317  # callbacks and traps call functions by name

VERSION=2
PREFIX=             # where a test is installed; no argument and no environment variable changes it
CONFIG=$PREFIX/etc/locum/gate.conf
STATE=$PREFIX/var/lib/locum-gate
RUN=$PREFIX/run/locum-gate
SELF=$PREFIX/usr/local/lib/locum/gate
GUARD=$PREFIX/usr/local/sbin/locum-guard    # the boot guard, on hosts that have one
GUARD_RUN=$PREFIX/run/locum-guard

POLL_SECONDS=0.02   # between two checks while waiting
APPEAR_LIMIT=500    # hundredths of a second: how long a process may be missing after its start command; longer
                    # if start_timeout is longer; not after a respawn
KILL_LIMIT=200      # … and a process may outlive its SIGKILL
LOCK_LIMIT=500      # … in addition to stop_timeout, to wait for another verb of the same service
LINE_KIB=32768      # memory limit of a shell that reads lines from its peer: `read` itself has no limit
EPOCH_JUMP=1000000  # how far an epoch may be above the stored one; each change of holder adds one
MOST_ADDRESSES=64   # the most addresses that a verb may name
IDLE_SECONDS=30     # after two of these without a request `watch` treats its peer as gone

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
unset IFS CDPATH ENV
newline='
'
blank=' 	'         # a space and a tab
umask 022
trap : HUP          # a peer that disconnects does not end a verb half-way

# --- answers -------------------------------------------------------------------------------------------------

# Answers use protocol 2; those of `watch` are the same as in protocol 1, so that older exporters can read them.
greet() { [ -n "$greeted" ] || printf 'locum-gate %s %s\n' "$protocol" "$VERSION"; greeted=yes; }

# finish REASON [TEXT]: the last line of every answer; without it the answer was cut short.
finish() {
    greet
    printf 'end %s%s\n' "$1" "${2:+ $2}"
    [ "$1" = ok ] || log "${*}"
    [ "$1" = ok ]
    exit
}

refuse() { finish refused "$1"; }

# failed TEXT: the verb was carried out, but its result was not reached.
failed() {
    [ -z "$s_name" ] || describe
    finish failed "$s_name: $1"
}

log() { ( alone; exec logger -t locum-gate -- "$verb $s_name: $1" ) & }

# For work in the background of the verb: the answer does not wait for it, and it does not hold the lock.
alone() { exec </dev/null >/dev/null 2>&1 9>&-; }

# --- the request ---------------------------------------------------------------------------------------------

# check_words VERB [SERVICE [EPOCH]]: refuses everything that is not exactly valid.
check_words() {
    verb=$1
    case $verb in
        watch) [ $# = 1 ] || refuse "watch takes no further words" ;;
        status) [ $# -le 2 ] || refuse "status takes one service at most" ;;
        stop | release | reset-epoch | store-epoch)
            [ "$role" = actuator ] || refuse "this key may only watch and status"
            [ $# = 3 ] || refuse "$verb takes a service and an epoch" ;;
        respawn | start | claim)
            [ "$role" = actuator ] || refuse "this key may only watch and status"
            [ $# -ge 5 ] || refuse "$verb takes a service, an epoch, a boot id, an uptime and addresses"
            [ $# -le $((5 + MOST_ADDRESSES)) ] || refuse "$verb takes $MOST_ADDRESSES addresses at most" ;;
        mirror-look | mirror-mark | mirror-changes | mirror-restore | mirror-halt | mirror-send | mirror-send-mounted | \
            mirror-receive)
            [ "$role" = actuator ] || refuse "this key may only watch and status"
            [ $# = 9 ] || refuse "$verb takes a service and seven numbers" ;;
        *) refuse "no such verb" ;;
    esac
    wanted_name=${2-} wanted_epoch=${3-0}
    [ ${#wanted_name} -le 63 ] || refuse "no such service"
    case $wanted_name in
        *[!a-z0-9_-]* | -*) refuse "no such service" ;;
    esac
    case $wanted_epoch in
        '' | *[!0-9]* | 0?*) refuse "an epoch is a decimal number" ;;
    esac
    [ ${#wanted_epoch} -le 18 ] || refuse "an epoch has 18 digits at most"
    case $verb in
        respawn | start | claim) shift 3; check_evidence_words "$@" ;;
        mirror-*)
            shift 3
            for number; do
                case $number in '' | *[!0-9]* | 0?* | ???????????????????*) refuse "a number is decimal" ;; esac
            done
            mirror_words "$@" ;;
    esac
}

# check_evidence_words BOOT_ID GOOD_UNTIL [ADDRESS...]: sets wanted_boot, good_until and wanted_addresses.
check_evidence_words() {
    wanted_boot=$1 good_until=$2 wanted_addresses=''
    case $wanted_boot in *[!0-9a-f-]*) refuse "a boot id has 36 characters" ;; esac
    [ ${#wanted_boot} = 36 ] || refuse "a boot id has 36 characters"
    case $good_until in
        '' | *[!0-9]* | 0?* | ???????????????????*) refuse "an uptime is a decimal number" ;;
    esac
    shift 2
    for address; do
        case $address in
            *[!0-9a-f.:/]* | ????????????????????????????????????????????*) refuse "no such address" ;;
            */*) wanted_addresses="$wanted_addresses $address" ;;
            *) refuse "no such address" ;;
        esac
    done
}

# --- the host file -------------------------------------------------------------------------------------------

check_config_owner() {
    [ -r "$CONFIG" ] || refuse "$CONFIG is missing: run locum enrol"
    for mode in $(stat -L -c '%u:%a' "$CONFIG" "${CONFIG%/*}"); do
        case $mode in
            0:*[2367]? | 0:*[2367]) refuse "$CONFIG or its directory may be written by others than root" ;;
            0:*) ;;
            *) refuse "$CONFIG or its directory is not owned by root" ;;
        esac
    done
}

# each_service FUNCTION: calls it for every service of CONFIG, its keys in s_*, until one call returns non-zero.
each_service() {
    s_name='' line_number=0
    while read -r key value <&3; do
        line_number=$((line_number + 1))
        case $key in
            '' | '#'*) continue ;;
            locum-gate) [ "$value" = 1 ] || refuse "$CONFIG is of format '$value', this gate reads 1" ;;
            service)
                if [ -n "$s_name" ]; then "$1" || return 0; fi
                s_name=$value s_addresses='' s_interface='' s_process='' s_uid='' s_unit='' s_standby=stopped
                s_start='' s_stop='' s_respawn='' s_stop_timeout=500 s_start_timeout=6000 s_respawn_timeout=3000
                mirror_defaults ;;
            address) s_addresses="$s_addresses $value" ;;
            interface) s_interface=$value ;;
            process) decode "$value"; s_process=$decoded ;;
            process_user) find_user "$value" ;;
            process_unit) s_unit=$value ;;
            standby) s_standby=$value ;;
            start) s_start=$value ;;
            stop) s_stop=$value ;;
            respawn) s_respawn=$value ;;
            start_timeout_ms) s_start_timeout=$((value / 10)) ;;
            respawn_timeout_ms) s_respawn_timeout=$((value / 10)) ;;
            stop_timeout_ms) s_stop_timeout=$((value / 10)) ;;
            mirror | mirror_*) mirror_key "$key" "$value" ;;
            *) refuse "$CONFIG, line $line_number: unknown key" ;;
        esac
    done 3<"$CONFIG"
    if [ -n "$s_name" ]; then "$1" || return 0; fi
    return 1
}

# decode TEXT: sets decoded. A process name may contain any byte: those that `read` would not preserve are written as \0ooo.
decode() {
    decoded=$1
    case $1 in *\\*) decoded=$(printf '%b' "$1") ;; esac
}

# find_user NAME: sets s_uid; to none if this host has no such user, because no process can run as it.
find_user() {
    case $1 in *[!0-9]*) ;; *) s_uid=$1; return ;; esac
    case $users in
        *" $1="*) s_uid=${users##*" $1="} s_uid=${s_uid%% *} ;;
        *) s_uid=$(id -u "$1" 2>/dev/null) || s_uid=none; users="$users $1=$s_uid " ;;
    esac
}

is_other_service() { [ "$s_name" != "$wanted_name" ]; }
load_service() { each_service is_other_service || { s_name=''; refuse "no such service: $wanted_name"; }; }

# --- clock and processes -------------------------------------------------------------------------------------

# Sets now: hundredths of a second since boot, from a clock that cannot be set.
clock() {
    read -r up _ </proc/uptime
    now=$((${up%.*} * 100 + 1${up#*.} - 100))
}

# check_in_time: is the evidence for this verb still valid? By this host's own clock and boot, because a call may
# have been under way for long. Called right before any change that others can observe.
check_in_time() {
    [ -n "$good_until" ] || return 0
    read -r boot_id </proc/sys/kernel/random/boot_id
    [ "$boot_id" = "$wanted_boot" ] || { undo_partial; finish too_late "$s_name: this host has booted since"; }
    clock
    [ "$now" -le "$good_until" ] || {
        undo_partial
        finish too_late "$s_name: $verb came $((now - good_until))0 ms after its evidence had become too old"
    }
}

# is_live PID NAME: sets state, and born where `ages` is set. A zombie is dead, unless it still has live threads.
# proc(5): comm may contain any byte.
is_live() {
    IFS= read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    case $line in *"($2) "*) ;; *) return 1 ;; esac     # a name with a newline ends the line early
    comm=${line#*\(}
    [ "${comm%\)*}" = "$2" ] || return 1
    rest=${line##*\) }
    state=${rest%% *}
    case $state in
        X | x) return 1 ;;
        Z)
            # shellcheck disable=SC2086  # numbers, one word each; the 18th counts threads
            set -- $rest
            [ "${18}" -gt 1 ] || return 1
            born=${20} ;;
        *)
            # shellcheck disable=SC2086  # as above; the 20th is when it started, in hundredths of a second since boot
            [ -z "$ages" ] || { set -- $rest; born=${20}; } ;;
    esac
}

# scan NAMES: one scan of the process table for names, one per line, because a name may contain a space. Sets hits
# to a line PID/STATE/BORN/NAME for each live process with such a name.
scan() {
    hits='' born=0 names=$newline$1$newline
    for file in /proc/[0-9]*/comm; do
        IFS= read -r comm 2>/dev/null <"$file" || continue
        case $names in *"$newline$comm$newline"*) ;; *) continue ;; esac
        pid=${file#/proc/} pid=${pid%/comm} name=$comm
        ! is_live "$pid" "$name" || hits="$hits$pid/$state/$born/$name$newline"
    done
}

# is_of_service PID: does a process of that name belong to the service, according to s_unit and s_uid? One in another
# PID namespace is in a container and does not belong to this host, unless it is in the named unit.
is_of_service() {
    if [ -n "$s_unit" ]; then
        is_in_unit "$1" || return 1
    else
        # shellcheck disable=SC3013  # dash and busybox know -ef
        [ ! -e "/proc/$1/ns/pid" ] || [ "/proc/$1/ns/pid" -ef /proc/self/ns/pid ] || return 1
    fi
    [ -z "$s_uid" ] || runs_as "$1"
}

# is_in_unit PID: by its control group, which systemd names after the unit. Only slices may be above it: a unit of that
# name in a container does not match.
is_in_unit() {
    [ -n "$has_root_group" ] || find_root_group
    while IFS= read -r word; do
        case $word in 0::* | *:name=systemd:*) ;; *) continue ;; esac
        above=${word#*:*:}/
        case $above in *"/$s_unit/"*) ;; *) continue ;; esac
        above=${above%%"/$s_unit/"*} above=${above#"$root_group"}
        while :; do
            case $above in
                '') return 0 ;;
                *.slice) above=${above%/*} ;;
                *) break ;;
            esac
        done
    done 2>/dev/null <"/proc/$1/cgroup"
    return 1
}

# Sets root_group, the topmost control group of this host, which may be a container itself.
find_root_group() {
    has_root_group=yes root_group=''
    while IFS= read -r word; do
        case $word in 0::*/init.scope | *:name=systemd:*/init.scope)
            root_group=${word#*:*:} root_group=${root_group%/init.scope} ;;
        esac
    done 2>/dev/null </proc/1/cgroup
}

# runs_as PID: is s_uid its effective user? proc(5): Uid, then the real and the effective one.
runs_as() {
    while IFS=$blank read -r word _ effective _; do
        [ "$word" = Uid: ] || continue
        [ "$effective" = "$s_uid" ]
        return
    done 2>/dev/null <"/proc/$1/status"
    return 1
}

# split_lines, for loops over lines with spaces or glob characters, until split_words.
split_lines() { IFS=$newline; set -f; }
split_words() { unset IFS; set +f; }

# count NAME: sets count, pids, stopped (how many of them a SIGSTOP holds) and oldest from the last scan, for the
# service whose keys s_unit and s_uid are.
count() {
    count=0 stopped=0 oldest=0 pids=''
    split_lines
    for hit in $hits; do
        pid=${hit%%/*} rest=${hit#*/} state=${rest%%/*} rest=${rest#*/} born=${rest%%/*}
        { [ "${rest#*/}" = "$1" ] && is_of_service "$pid"; } || continue
        count=$((count + 1)) pids="$pids $pid"
        [ "$oldest" != 0 ] && [ "$oldest" -le "$born" ] || oldest=$born
        case $state in T) stopped=$((stopped + 1)) ;; esac
    done
    split_words
}

look() { count=0 stopped=0 pids=''; [ -z "$s_process" ] || { scan "$s_process"; count "$s_process"; }; }

# shellcheck disable=SC2086  # numbers, one word each
kill_all() { kill -KILL $pids 2>/dev/null; }

# --- addresses -----------------------------------------------------------------------------------------------

# Sets listed, and in_use: the lines without addresses that the kernel is still checking for duplicates (tentative) or
# that another host has (dadfailed, permanent). The kernel answers for neither: RFC 4862.
list_addresses() {
    listed=$(ip -o addr show 2>/dev/null) && [ -n "$listed" ] || return 1
    in_use=''
    while IFS= read -r line; do
        case $line in
            *" dadfailed"* | *" tentative"*) ;;
            *) in_use="$in_use$line$newline" ;;
        esac
    done <<LIST
$listed
LIST
}

# is_in LIST ADDRESS: on any interface. `ip` and the host file both use the notation of RFC 5952.
is_in() { case $1 in *" inet $2/"* | *" inet6 $2/"* | *" inet $2 "* | *" inet6 $2 "*) ;; *) return 1 ;; esac; }
is_held() { is_in "$in_use" "$1"; }

# look_at ADDRESS: sets held to held or absent, or to the reason why it is not in use, from the last list.
look_at() {
    if is_held "$1"; then
        held=held
        [ "$guard" != on ] || held=muted
        return
    fi
    held=absent
    is_in "$listed" "$1" || return 0
    line=${listed#*" inet6 $1/"} line=${line%%"$newline"*} held=tentative
    case $line in *" dadfailed"*) held=dadfailed ;; esac
}

# take_off ADDRESS/PREFIX...: from whichever interface has them, according to the last list.
take_off() {
    while read -r _ interface _ on _; do
        interface=${interface%%@*}
        for address in "$@"; do
            [ "${on%/*}" = "${address%/*}" ] || continue
            # Without this, removing the first address of a subnet removes the host's others too.
            echo 1 2>/dev/null >"/proc/sys/net/ipv4/conf/$interface/promote_secondaries"
            ip addr del "$on" dev "$interface" 2>/dev/null
        done
    done 2>/dev/null <<LIST
$listed
LIST
}

addresses_off() {
    list_addresses || return 1
    # shellcheck disable=SC2086  # addresses, one word each
    take_off $s_addresses
    list_addresses || return 1
    for address in $s_addresses; do
        ! is_in "$listed" "${address%/*}" || return 1
    done
}

# If a claim becomes too old half-way, it removes what it has added, and nothing else.
undo_partial() {
    # shellcheck disable=SC2086  # addresses, one word each
    [ -z "$put_on" ] || { list_addresses && take_off $put_on; }
}

addresses_on() {
    list_addresses || failed "ip could not list the addresses"
    for wanted in $s_addresses; do
        how=''
        case $wanted in *:*)
            # Not preferred: otherwise this host's own connections would use an address that will move away.
            how='nodad preferred_lft 0'
            # One that is not in use stays so: the kernel does not repeat its duplicate detection.
            look_at "${wanted%/*}"
            case $held in tentative | dadfailed) take_off "$wanted" ;; esac ;;
        esac
        check_in_time
        is_held "${wanted%/*}" || put_on="$put_on $wanted"
        # shellcheck disable=SC2086  # words of ours, or none
        said=$(ip addr replace "$wanted" dev "$s_interface" $how 2>&1) || failed "ip: $said"
    done
    [ ! -e "$GUARD_RUN/mute/$s_name" ] || check_in_time
    lift_guard
    ( alone; announce ) &
    list_addresses || failed "ip could not list the addresses"
    for address in $s_addresses; do
        look_at "${address%/*}"
        [ "$held" = held ] || failed "$address did not come up on $s_interface: it is $held"
    done
}

# Announces the addresses five times in a second: gratuitous ARP (RFC 5227) and unsolicited advertisements.
announce() {
    for round in 1 2 3 4 5; do
        for address in $s_addresses; do
            case $address in
                *:*) advertise "${address%/*}" & ;;
                *)
                    arping -q -U -c 1 -w 1 -I "$s_interface" "${address%/*}" &
                    arping -q -A -c 1 -w 1 -I "$s_interface" "${address%/*}" & ;;
            esac
        done
        [ "$round" = 5 ] || sleep 0.2
    done
}

# advertise ADDRESS: an unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6). Debian has no program
# for it, but perl is always installed. From a socket bound to the address, so that it fails once that is gone.
advertise() {
    read -r mac <"/sys/class/net/$s_interface/address"
    read -r index <"/sys/class/net/$s_interface/ifindex"
    perl -e '
        use Socket qw(:all);
        my ($address, $index, $mac, $wire) = @ARGV;
        my $ip = inet_pton(AF_INET6, $address);
        my $message = pack("CCnN", 136, 0, 0, 0x20000000) . $ip . pack("CCH12", 2, 1, $mac =~ tr/://dr);
        socket($wire, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
            && setsockopt($wire, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255)
            && bind($wire, pack_sockaddr_in6(0, $ip))
            && send($wire, $message, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, "ff02::1"), $index));
    ' "$1" "$index" "$mac"
}

# --- the boot guard ------------------------------------------------------------------------------------------

# Sets guard to on or off; to nothing if this host has none. If it could not be read, it counts as off, because
# then the traffic may not be blocked.
ask_guard() {
    guard=''
    [ -x "$GUARD" ] || return 0
    guard=off
    [ ! -e "$GUARD_RUN/mute/$s_name" ] || ! "$GUARD" is-on "$s_name" >/dev/null 2>&1 9>&- || guard=on
}

# A claim turns the guard off, a release turns it on: by then the addresses are removed, and nothing waits for it.
lift_guard() {
    guard=''
    [ -e "$GUARD_RUN/mute/$s_name" ] || return 0
    said=$("$GUARD" off "$s_name" 2>&1 9>&-) || failed "$said"
}
raise_guard() { [ ! -x "$GUARD" ] || "$GUARD" on "$s_name" >/dev/null 2>&1 9>&-; }

# The unit of a service waits for this at boot, so that only locum starts it.
let_start() { rm -f "$GUARD_RUN/stopped/$s_name" 2>/dev/null; }

# --- epochs and the lock -------------------------------------------------------------------------------------

# Sets epoch, the highest seen; fails if the file is not valid.
read_epoch() {
    epoch=0
    [ -e "$STATE/$1.epoch" ] || return 0
    [ -f "$STATE/$1.epoch" ] || return 1    # reading a FIFO would hang
    read -r epoch 2>/dev/null <"$STATE/$1.epoch"
    # A shell treats a number that begins with 0 as octal, and exits if it is not valid.
    case $epoch in '' | *[!0-9]* | 0?* | ???????????????????*) epoch=0; return 1 ;; esac
}

# Fails if the epoch cannot be read. An older epoch, or one that jumps far ahead, ends the verb: otherwise a stored
# number near the maximum would make every later verb fail. A release is never refused for its epoch.
check_epoch() {
    read_epoch "$s_name" || return 1
    [ "$verb" != release ] || return 0
    [ "$wanted_epoch" -ge "$epoch" ] || finish old_epoch "$s_name: epoch $wanted_epoch is older than $epoch"
    [ "$wanted_epoch" -le $((epoch + EPOCH_JUMP)) ] || refuse \
        "$s_name: epoch $wanted_epoch is more than $EPOCH_JUMP above $epoch: run locum reset-epoch $s_name"
}

# Durable before anything changes: a new file, read back, synced, moved over the old one.
store_epoch() {
    if check_epoch; then
        [ "$epoch" != "$wanted_epoch" ] || [ ! -e "$STATE/$s_name.epoch" ] || return 0
        # Only a release gets here with such an epoch. It is carried out, and the stored value stays.
        [ "$wanted_epoch" -ge "$epoch" ] && [ "$wanted_epoch" -le $((epoch + EPOCH_JUMP)) ] || return 0
    else
        [ "$verb" = release ] || return 1   # only a release may overwrite an unreadable file
    fi
    write_epoch
}

write_epoch() {
    new=$STATE/$s_name.new back=''
    { [ -d "$STATE" ] || mkdir -p "$STATE"; } && [ ! -d "$STATE/$s_name.epoch" ] &&
        { echo "$wanted_epoch" >"$new"; } && read -r back <"$new" && [ "$back" = "$wanted_epoch" ] &&
        sync "$new" && mv -f "$new" "$STATE/$s_name.epoch"
} 2>/dev/null

# Only root may open its files: a lock that another user could take would block every verb.
make_run_directory() { [ -d "$RUN" ] || { mkdir -p "$RUN" && chmod 700 "$RUN"; } 2>/dev/null; }

# One verb of a service at a time. A release outranks respawn, start and claim: it ends them.
lock() {
    clock
    lock_by=$((now + s_stop_timeout + LOCK_LIMIT))
    make_run_directory
    { command exec 9>>"$RUN/$s_name.lock"; } 2>/dev/null || return 1
    until flock -n 9; do
        [ "$verb" != release ] || outrank
        clock
        [ "$now" -lt "$lock_by" ] || return 1
        sleep "$POLL_SECONDS"
    done
    case $verb in
        respawn | start | claim)
            trap 'outranked' TERM
            { echo "$$ $verb" >"$RUN/$s_name.owner"; } 2>/dev/null ;;
        *) rm -f "$RUN/$s_name.owner" ;;
    esac
}

# Ends the verb that has the lock, if it may be ended: it has the lock file open, so it is a gate's process.
outrank() {
    has_owner && kill -TERM "$owner" 2>/dev/null
}

# Sets owner and underway, the process and the verb that have the lock; fails if none of these verbs has it.
has_owner() {
    owner='' underway=''
    read -r owner underway 2>/dev/null <"$RUN/$s_name.owner"
    # shellcheck disable=SC3013  # dash and busybox know -ef
    [ "/proc/${owner:-0}/fd/9" -ef "$RUN/$s_name.lock" ]
}

# The release repeats its signal until this verb has ended: once is enough.
outranked() {
    trap '' TERM
    end_command
    failed "a release ended this $verb"
}

# --- commands ------------------------------------------------------------------------------------------------

# begin_command LINE: starts it in a separate session. The first 1,000 bytes of its output are kept, the rest is
# discarded for as long as a daemon of it keeps the pipe, so that no daemon is waited for and no disk is filled.
begin_command() {
    said_file=$RUN/$$.said pipe=$RUN/$$.pipe reader_pid=''
    if mkfifo "$pipe" 2>/dev/null; then
        ( alone; exec <"$pipe"; dd bs=200 count=5 >"$said_file"; exec cat ) &
        reader_pid=$!
    else
        pipe=/dev/null
    fi
    ( alone; exec >"$pipe" 2>&1; exec setsid sh -c "$1" ) &
    command_pid=$!
}

# has_ended PID: whether a child has ended; it may not have been waited for yet.
has_ended() {
    IFS= read -r line 2>/dev/null <"/proc/$1/stat" || return 0
    rest=${line##*\) }
    case $rest in Z* | X*) return 0 ;; esac
    return 1
}

# The reader ends with the last process that has the pipe: give it a moment to store a failed command's output.
hear_out() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        has_ended "$reader_pid" && break
        sleep "$POLL_SECONDS"
    done
}

# If the command has ended, sets code and said (one line).
command_ended() {
    has_ended "$command_pid" || return 1
    wait "$command_pid"
    code=$? command_pid='' said=''
    [ "$code" = 0 ] || hear_out
    [ ! -s "$said_file" ] || said=$(tr -c '[:print:]' ' ' <"$said_file")
    rm -f "$said_file" "$RUN/$$.pipe"
}

end_command() {
    [ -z "$command_pid" ] || kill -KILL "-$command_pid" 2>/dev/null
    rm -f "$RUN/$$.said" "$RUN/$$.pipe"
}

# run_until_there LABEL LINE LIMIT: the command, then its process, both within the limit.
run_until_there() {
    [ -n "$2" ] || refuse "$s_name has no $1 command"
    clock
    by=$((now + $3))
    begin_command "$2"
    until command_ended; do
        clock
        [ "$now" -lt "$by" ] || { end_command; failed "$1 did not end within $(($3 / 100)) s"; }
        sleep "$POLL_SECONDS"
    done
    [ -n "$s_process" ] || { [ "$code" = 0 ] || failed "$1 returned $code and said: $said"; return 0; }
    clock
    # A restart that has left no process is not a slow start: another host may serve instead.
    [ "$verb" != respawn ] && [ "$by" -ge $((now + APPEAR_LIMIT)) ] || by=$((now + APPEAR_LIMIT))
    while look; [ "$count" = 0 ]; do
        clock
        if [ "$code" != 0 ] || [ "$now" -ge "$by" ]; then
            failed "$1 returned $code and no process $s_process is there; it said: $said"
        fi
        sleep "$POLL_SECONDS"
    done
}

# The stop command; SIGKILL at once for processes stopped by SIGSTOP, which would make it wait in vain, and at its
# deadline for the rest.
stop_service() {
    clock
    stop_by=$((now + s_stop_timeout)) killed_by=$((now + s_stop_timeout + KILL_LIMIT)) ended=''
    begin_command "$s_stop"
    while :; do
        [ -n "$ended" ] || ! command_ended || ended=yes
        look
        [ "$stopped" = 0 ] || kill_all
        [ -n "$ended" ] && [ "$count" = 0 ] && break
        clock
        if [ "$now" -ge "$stop_by" ]; then
            end_command
            kill_all
            [ "$now" -lt "$killed_by" ] || failed "$count processes $s_process outlived their SIGKILL"
        fi
        sleep "$POLL_SECONDS"
    done
    [ -n "$s_process" ] || [ "$code" = 0 ] || failed "stop returned $code and said: $said"
}

kill_stopped() {
    look
    [ "$stopped" != 0 ] || return 0
    clock
    by=$((now + KILL_LIMIT))
    while kill_all; look; [ "$count" != 0 ]; do
        clock
        [ "$now" -lt "$by" ] || failed "$count processes $s_process outlived their SIGKILL"
        sleep "$POLL_SECONDS"
    done
}

# --- verbs ---------------------------------------------------------------------------------------------------

# The interfaces of this host, one per line: `link NAME STATE MAC...`. STATE is up, no_carrier or down. The first MAC is
# the current one; another one is the card's permanent address, which bonding replaces (ip-link(8)).
describe_links() {
    ip -o link show 2>/dev/null | while read -r _ name flags words; do
        name=${name%:} name=${name%%@*} state=down macs=''
        case $flags in *[\<,]UP[,\>]*)
            state=no_carrier
            case $flags in *LOWER_UP*) state=up ;; esac ;;
        esac
        # shellcheck disable=SC2086  # words of ip's, one each
        set -- $words
        others=''
        while [ $# -gt 1 ]; do
            # With -o a backslash replaces each line break.
            case ${1#\\} in
                link/ether | permaddr) macs="$macs ${2%\\}" ;;
                altname) others="$others ${2%\\}" ;;
            esac
            shift
        done
        for one in "$name" $others; do printf 'link %s %s%s\n' "$one" "$state" "$macs"; done
    done
}

# The current status of one service.
describe() {
    greet
    read_epoch "$s_name"
    ages=yes
    look
    list_addresses || { greet; printf 'end failed %s: ip could not list the addresses\n' "$s_name"; exit 1; }
    describe_from_look
}

describe_from_look() {
    lines="service $s_name
epoch $epoch"
    ask_guard
    [ -z "$guard" ] || lines="$lines
guard $guard"
    for address in $s_addresses; do
        look_at "${address%/*}"
        lines="$lines
address ${address%/*} $held"
    done
    [ -z "$s_process" ] || lines="$lines
processes $count"
    clock
    [ "$count" = 0 ] || [ "$oldest" = 0 ] || [ "$oldest" -gt "$now" ] || lines="$lines
age_ms $(((now - oldest) * 10))"
    ! has_owner || [ "$owner" = "$$" ] || lines="$lines
underway $underway"
    printf '%s\n' "$lines"
}

collect_name() {
    all_services="$all_services $s_name"
    [ -z "$s_process" ] || all_names="$all_names$newline$s_process"
}

describe_if_wanted() {
    [ -z "$wanted_name" ] || [ "$s_name" = "$wanted_name" ] || return 0
    damaged=''
    read_epoch "$s_name" || damaged=yes
    count=0
    [ -z "$s_process" ] || count "$s_process"
    describe_from_look
    [ -z "$damaged" ] || echo 'damaged epoch'
    printf 'knows%s\n' "$s_addresses"
    [ -z "$s_interface" ] || printf 'interface %s\n' "$s_interface"
}

do_status() {
    all_names='' all_services='' ages=yes
    each_service collect_name
    case "$all_services " in
        *" $wanted_name "*) ;;
        *) [ -z "$wanted_name" ] || refuse "no such service: $wanted_name" ;;
    esac
    hash=$(sha256sum <"$CONFIG") || refuse "sha256sum is missing"
    list_addresses || finish failed "ip could not list the addresses"
    scan "${all_names#"$newline"}"
    clock
    read -r boot_id </proc/sys/kernel/random/boot_id
    greet
    printf 'config %s\nboot %s\nuptime %s\n' "${hash%% *}" "$boot_id" "$now"
    describe_links
    each_service describe_if_wanted
    finish ok
}

do_respawn() {
    let_start
    kill_stopped
    if [ -n "$s_respawn" ]; then run_until_there respawn "$s_respawn" "$s_respawn_timeout"; return; fi
    [ "$count" = 0 ] || stop_service
    run_until_there start "$s_start" "$s_respawn_timeout"
}

do_start() {
    let_start
    kill_stopped
    [ "$count" != 0 ] || run_until_there start "$s_start" "$s_start_timeout"
}

do_stop() {
    [ -n "$s_stop" ] || refuse "$s_name has no stop command"
    stop_service
}

# Address first, whatever else happens; if the service runs on every host, only the address.
do_release() {
    off=yes
    addresses_off || off=''
    [ "$s_standby" = running ] || stop_service
    [ -n "$off" ] || addresses_off || failed "an address could not be taken off"
    raise_guard || log "the boot guard could not be put on"
}

# Replaces an epoch that cannot be read, or that differs from EPOCH by more than a jump; no other.
do_reset_epoch() {
    load_service
    lock || failed "another verb still runs"
    if read_epoch "$s_name" && [ "$wanted_epoch" -ge $((epoch - EPOCH_JUMP)) ]; then
        refuse "$s_name: epoch $epoch is in order"
    fi
    write_epoch || failed "the epoch could not be stored"
    log "epoch set back to $wanted_epoch"
    describe
    finish ok
}

# The addresses that the actuator names must be exactly those of the host file.
check_addresses() {
    [ -n "$wanted_addresses" ] || [ "$verb" != respawn ] || return 0
    { are_in "$wanted_addresses" "$s_addresses" && are_in "$s_addresses" "$wanted_addresses"; } || refuse \
        "$s_name: this host's gate.conf has${s_addresses:- no address}, not${wanted_addresses:- none}: run locum enrol"
}

# are_in WORDS LIST: is each of the words in the list?
are_in() {
    for word in $1; do
        case "$2 " in *" $word "*) ;; *) return 1 ;; esac
    done
}

do_change() {
    load_service
    greet
    case $verb in
        # A release removes the address before it waits for anything.
        release) addresses_off ;;
        respawn | start | claim) check_addresses ;;
    esac
    lock || [ "$verb" = release ] || failed "another verb still runs"
    store_epoch || [ "$verb" = release ] || failed "the epoch could not be stored"
    # No mirror run may write the data of a service that is to run here.
    case $verb in start | claim)
        end_mirror || failed "a mirror run still writes here" ;;
    esac
    check_in_time
    case $verb in
        respawn) do_respawn ;;
        start) do_start ;;
        stop) do_stop ;;
        release) do_release ;;
        claim) addresses_on ;;
        store-epoch) ;;
    esac
    log "epoch $wanted_epoch: done"
    describe
    finish ok
}

# --- watch ---------------------------------------------------------------------------------------------------

# Signals the loop regularly, because `read` has no timeout; ends with the loop, and ends its sleep.
remind() {
    trap 'kill "$nap"; exit' TERM
    while :; do
        sleep "$IDLE_SECONDS" &
        nap=$!
        wait "$nap"
        read -r line <"/proc/self/stat"
        rest=${line##*\) } rest=${rest#* }
        [ "${rest%% *}" = "$$" ] || exit
        kill -ALRM "$$"
    done
}

collect_watched() {
    [ -n "$s_process" ] || return 0
    watched="$watched$s_name/$s_uid/$s_unit/$s_process$newline" all_names="$all_names$newline$s_process"
}

answer_look() {
    scan "${all_names#"$newline"}"
    answer="look $1" left=$watched
    while [ -n "$left" ]; do
        entry=${left%%"$newline"*} left=${left#*"$newline"}
        watched_name=${entry%%/*} entry=${entry#*/}
        s_uid=${entry%%/*} entry=${entry#*/}
        s_unit=${entry%%/*}
        count "${entry#*/}"
        answer="$answer
$watched_name $count"
    done
    printf '%s\nend %s\n' "$answer" "$1"
}

do_watch() {
    watched='' all_names='' idle=0 protocol=1
    each_service collect_watched
    exec 4<"$CONFIG"
    trap 'idle=$((idle + 1))' ALRM
    remind </dev/null >/dev/null 2>&1 4<&- &
    reminder=$!
    trap 'kill "$reminder" 2>/dev/null' EXIT
    trap 'exit' TERM INT PIPE
    # shellcheck disable=SC3045  # dash and busybox know -v
    ulimit -v "$LINE_KIB"       # an endless line ends this shell instead of exhausting the host's memory
    greet
    while [ "$idle" -lt 2 ]; do
        before=$idle
        if ! read -r word number more; then
            [ "$idle" != "$before" ] && continue    # the signal ended the read
            break
        fi
        case $word/${number:-x}/$more in
            look/*[!0-9]*/* | look/*/?*) break ;;
            look/*) ;;
            *) break ;;
        esac
        [ ${#number} -le 18 ] || break
        # The host file has changed: end, so that the peer starts again with the new one.
        # shellcheck disable=SC3013  # dash and busybox know -ef
        [ /proc/self/fd/4 -ef "$CONFIG" ] || break
        idle=0
        answer_look "$number" || break
    done
    exit 0
}

#@ gate_mirror.sh

# --- begin ---------------------------------------------------------------------------------------------------

users='' has_root_group='' greeted='' ages='' protocol=2 s_name='' verb='' command_pid='' guard='' good_until='' put_on=''
role=${1-}
case $role in
    actuator | exporter) shift ;;
    *) refuse "the role is actuator or exporter" ;;
esac
if [ $# = 0 ]; then
    asked=${SSH_ORIGINAL_COMMAND-}
    [ ${#asked} -le 4000 ] || refuse "too long"
    case $asked in
        # These name addresses.
        "respawn "* | "start "* | "claim "*) case $asked in *[!a-z0-9_\ ./:-]*) refuse "no such verb" ;; esac ;;
        *[!a-z0-9_\ -]*) refuse "no such verb" ;;
    esac
    # shellcheck disable=SC2086  # split into words; there is no glob character among them
    set -- $asked
fi
unset SSH_ORIGINAL_COMMAND
check_words "$@"
# shellcheck disable=SC3067  # dash and busybox know -O; /proc/1 is root's, and `id` would be a process more
[ -O /proc/1 ] || exec sudo -n "$SELF" "$role" "$@"
check_config_owner
case $verb in
    watch) do_watch ;;
    status) do_status ;;
    mirror-*) do_mirror ;;
    reset-epoch) do_reset_epoch ;;
    *) do_change ;;
esac

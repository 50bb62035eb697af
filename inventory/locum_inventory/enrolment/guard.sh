#!/bin/sh
# locum's boot guard: blocks this host's traffic for the addresses of its services until locum releases it.
#
#   locum-guard boot            on, for every service: before the network comes up
#   locum-guard on SERVICE      on, for one service: the gate calls this after it has released a service
#   locum-guard off [SERVICE]   off, for one or for all: the gate calls this at a claim, a person if locum is lost
#   locum-guard status          shows for which services it is on
#   locum-guard is-on SERVICE   exit status 0: it is on, 1: it is off, 2: could not check
#
# `locum enrol HOST --boot-guard` installs it. While it is on, the host may have an address but cannot use it: nftables
# drops everything sent from it (ARP, neighbour advertisements, all traffic) and everything sent to it. Frames that a
# program writes to the wire directly, such as arping, pass. docs/returning-host.md has more.

PREFIX=             # where a test is installed; no argument and no environment variable changes it
CONFIG=$PREFIX/etc/locum/gate.conf
RUN=$PREFIX/run/locum-guard     # mute/SERVICE while it is on, stopped/SERVICE until locum starts the service
TABLE=locum_guard
LOCK_SECONDS=5

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
unset IFS CDPATH ENV
umask 022

complain() { printf 'locum-guard: %s\n' "$*" >&2; }
log() { logger -t locum-guard -- "$*" </dev/null >/dev/null 2>&1; }

# fail CODE TEXT
fail() {
    complain "$2"
    log "$2"
    exit "$1"
}

# --- what is guarded -----------------------------------------------------------------------------------------

# each_service FUNCTION: calls it for every service of CONFIG that has addresses, with name, ipv4, ipv6 and standby.
each_service() {
    name=''
    while read -r key value <&3; do
        case $key in
            service)
                call_for_service "$1"
                name=$value ipv4='' ipv6='' standby=stopped ;;
            address) take_address "${value%/*}" ;;
            standby) standby=$value ;;
        esac
    done 3<"$CONFIG"
    call_for_service "$1"
}

call_for_service() { [ -z "$name" ] || [ -z "$ipv4$ipv6" ] || "$1"; }

# Only addresses may get into the input of nft.
take_address() {
    case $1 in
        '' | *[!0-9a-f.:]*) fail 1 "$CONFIG: '$1' is not an address" ;;
        *:*) ipv6="$ipv6${ipv6:+, }$1" ;;
        *) ipv4="$ipv4${ipv4:+, }$1" ;;
    esac
}

find_service() {
    found=''
    each_service keep_if_wanted
    [ -n "$found" ] || fail 1 "$CONFIG has no service '$wanted' with an address"
    ipv4=$found_ipv4 ipv6=$found_ipv6
}

keep_if_wanted() { [ "$name" != "$wanted" ] || { found=yes found_ipv4=$ipv4 found_ipv6=$ipv6; }; }

# --- the rules -----------------------------------------------------------------------------------------------

# A reply to a neighbour solicitation comes from the address itself (RFC 4861, 7.2.4), so the output rule drops it.
# Duplicate address detection passes, so that this host detects that another one has the address.
tables() {
    cat <<RULES
table inet $TABLE {
    set ipv4 { type ipv4_addr; }
    set ipv6 { type ipv6_addr; }
    chain input {
        type filter hook input priority -400; policy accept;
        ip daddr @ipv4 drop
        ip6 daddr @ipv6 drop
    }
    chain output {
        type filter hook output priority -400; policy accept;
        ip saddr @ipv4 drop
        ip6 saddr @ipv6 drop
    }
}
table arp $TABLE {
    set ipv4 { type ipv4_addr; }
    chain output {
        type filter hook output priority 0; policy accept;
        arp saddr ip @ipv4 drop
    }
}
RULES
}

# elements VERB: the elements to `add` or `get` for one service, one line per set.
elements() {
    [ -z "$ipv4" ] || printf '%s element %s %s ipv4 { %s }\n' "$1" inet "$TABLE" "$ipv4" "$1" arp "$TABLE" "$ipv4"
    [ -z "$ipv6" ] || printf '%s element inet %s ipv6 { %s }\n' "$1" "$TABLE" "$ipv6"
}

add_if_marked() { [ ! -e "$RUN/mute/$name" ] || [ "$name" = "$left_out" ] || elements add; }

# apply [SERVICE]: sets the kernel's rules for all marked services except this one. One transaction: there is no moment
# without rules, and if nft fails, nothing changes.
apply() {
    left_out=${1-}
    {
        for family in inet arp; do
            printf 'table %s %s\ndelete table %s %s\n' "$family" "$TABLE" "$family" "$TABLE"
        done
        tables
        each_service add_if_marked
    } | nft -f - 2>&1
}

need_nft() { command -v nft >/dev/null 2>&1 || fail 2 "nft is missing: the guard can neither be read nor changed"; }

# One change at a time: each one builds its rules from all marks.
begin_change() {
    need_nft
    mkdir -p "$RUN/mute" "$RUN/stopped"
    exec 8>>"$RUN/lock"
    chmod 600 "$RUN/lock"       # a lock that other users could take would block every claim
    flock -w "$LOCK_SECONDS" 8 || fail 1 "another locum-guard is still running"
}

# --- commands ------------------------------------------------------------------------------------------------

mark() {
    : >"$RUN/mute/$name"
    [ "$standby" = running ] || : >"$RUN/stopped/$name"
}

# Marks are set first and removed last, so that no claim misses a rule.
guard_all() {
    begin_change
    each_service mark
    said=$(apply) || { rm -f "$RUN"/mute/*; fail 1 "this host is not guarded: $said"; }
    log "on: traffic for the service addresses is blocked until locum releases it"
}

guard_one() {
    find_service
    begin_change
    : >"$RUN/mute/$wanted"
    said=$(apply) || fail 1 "$wanted is not guarded: $said"
}

unguard_one() {
    find_service
    begin_change
    said=$(apply "$wanted") || fail 1 "$wanted is still guarded: $said"
    rm -f "$RUN/mute/$wanted" "$RUN/stopped/$wanted"
}

unguard_all() {
    begin_change
    for family in inet arp; do
        nft list table "$family" "$TABLE" >/dev/null 2>&1 || continue
        said=$(nft delete table "$family" "$TABLE" 2>&1) || fail 1 "still guarded: $said"
    done
    rm -f "$RUN"/mute/* "$RUN"/stopped/*
}

is_on() {
    need_nft
    elements get | nft -f - >/dev/null 2>&1
}

say_one() { if is_on; then echo "$name: on"; else echo "$name: off"; fi; }

case $#/${1-} in
    1/boot | 2/on | [12]/off | 1/status | 2/is-on) ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
# shellcheck disable=SC3067  # dash and busybox support -O; root owns /proc/1, and `id` would be another process
[ -O /proc/1 ] || fail 2 "this needs root"
[ -r "$CONFIG" ] || fail 2 "$CONFIG is missing: run locum enrol"
wanted=${2-}
case $1 in
    boot) guard_all ;;
    on) guard_one ;;
    off) if [ $# = 2 ]; then unguard_one; else unguard_all; fi ;;
    status) need_nft; each_service say_one ;;
    is-on) find_service; is_on ;;
esac

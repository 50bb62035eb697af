# The boot guard on a host: functions for install.sh, which `locum enrol` sends after this text. It defines before both:
#   guard_wish      install, remove, or keep: update it if it is installed
#   guard, guard_unit, guard_init   the files, in base64
#   guard_drop_ins  `UNIT SERVICE`, one a line: units that must not start at boot before locum says so
#
# shellcheck shell=sh disable=SC2154  # the variables above, and scratch, are set elsewhere
# Whether a unit or an init script starts it at boot depends on the running init: sd_booted(3).

GUARD=/usr/local/sbin/locum-guard
GUARD_UNIT=/etc/systemd/system/locum-guard.service
GUARD_INIT=/etc/init.d/locum-guard
GUARD_LINK=/etc/rcS.d/S01locum-guard
DROP_IN=locum-guard.conf

has_systemd() { [ -d /run/systemd/system ]; }
wants_guard() { [ "$guard_wish" = install ] || { [ "$guard_wish" = keep ] && [ -e "$GUARD" ]; }; }

prepare_guard() {
    printf %s "$guard" | base64 -d >"$scratch/guard"
    printf %s "$guard_unit" | base64 -d >"$scratch/guard_unit"
    printf %s "$guard_init" | base64 -d >"$scratch/guard_init"
}

drop_in_of() { printf '/etc/systemd/system/%s.d/%s' "$1" "$DROP_IN"; }

# drop_in_text SERVICE
drop_in_text() {
    cat <<TEXT
# Written by locum enrol --boot-guard: at boot this waits until locum starts $1 here, or \`locum-guard off $1\` does.
[Unit]
ConditionPathExists=!/run/locum-guard/stopped/$1
TEXT
}

# each_drop_in FUNCTION: calls it with UNIT SERVICE, until one call returns non-zero.
each_drop_in() {
    while read -r unit service; do
        [ -z "$unit" ] || "$1" "$unit" "$service" || return 1
    done <<LIST
$guard_drop_ins
LIST
}

has_drop_in() { drop_in_text "$2" | cmp -s - "$(drop_in_of "$1")"; }

put_drop_in() {
    drop_in_text "$2" >"$scratch/drop_in"
    own "/etc/systemd/system/$1.d"
    put "$scratch/drop_in" "$(drop_in_of "$1")" 644
}

starts_at_boot() {
    if has_systemd; then
        cmp -s "$scratch/guard_unit" "$GUARD_UNIT" &&
            [ "$(systemctl --root=/ is-enabled locum-guard.service 2>/dev/null)" = enabled ] &&
            each_drop_in has_drop_in
    else
        cmp -s "$scratch/guard_init" "$GUARD_INIT" && [ -e "$GUARD_LINK" ]
    fi
}

report_guard() {
    if [ "$guard_wish" = remove ]; then
        if [ -e "$GUARD" ]; then report_line guard differs; else report_line guard same; fi
        return
    fi
    wants_guard || return 0
    has nft || report_line missing nft
    if cmp -s "$scratch/guard" "$GUARD" && starts_at_boot; then
        report_line guard same
    elif [ -e "$GUARD" ]; then
        report_line guard differs
    else
        report_line guard absent
    fi
}

install_guard() {
    if [ "$guard_wish" = remove ]; then remove_guard; fi
    wants_guard || return 0
    has nft || fail "nft is missing, and the boot guard needs it: on Debian, apt install nftables"
    if has_systemd; then
        put "$scratch/guard_unit" "$GUARD_UNIT" 644
        remove_drop_ins
        each_drop_in put_drop_in
        put "$scratch/guard" "$GUARD" 755
        systemctl --root=/ --quiet enable locum-guard.service || fail "systemctl could not enable locum-guard.service"
        reload_units
    else
        put "$scratch/guard_init" "$GUARD_INIT" 755
        put "$scratch/guard" "$GUARD" 755
        own "${GUARD_LINK%/*}"
        ln -sf ../init.d/locum-guard "$GUARD_LINK"
    fi
}

remove_drop_ins() {
    for file in /etc/systemd/system/*.d/"$DROP_IN"; do
        [ ! -e "$file" ] || rm -f "$file"
        rmdir "${file%/*}" 2>/dev/null || :
    done
}

# Turned off first, so that no rules remain that could not be removed any more.
remove_guard() {
    [ -e "$GUARD" ] || return 0
    said=$("$GUARD" off 2>&1) || fail "the boot guard could not be turned off: $said"
    ! has_systemd || systemctl --root=/ --quiet disable locum-guard.service 2>/dev/null || :
    rm -f "$GUARD_UNIT" "$GUARD_INIT" "$GUARD_LINK"
    remove_drop_ins
    rm -f "$GUARD"
    reload_units
}

# If it fails: the next boot reads the units in any case.
reload_units() { ! has_systemd || systemctl daemon-reload 2>/dev/null || :; }

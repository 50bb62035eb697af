#!/bin/sh
# The verbs of the mirror: a part of the gate. gate_script() in gate_config.py puts it into gate.sh.
#
#   look       what this host knows of its copy
#   mark       says that this directory is the one: its marker is written
#   changes    what changed here since a run
#   restore    puts back what a run deleted or overwrote
#   halt       ends a run that writes here
#   send       the source's end of a run: rsync speaks on standard input and output
#   send-mounted    the same on the destination, of the source that is mounted there
#   receive    the destination's end
#
# Each is `mirror-VERB SERVICE EPOCH TREE RUN SINCE ALLOWED DISCARD PROGRESS`, all numbers but SERVICE; 0 where there
# is nothing to say. TREE counts the service's directories from 1. send and receive say what
# they have to say on standard error, for their standard output is rsync's. The copy is only ever pulled:
# what the destination writes, deletes and keeps is decided there, and the source's rsync can read one tree and no more.
#
# shellcheck disable=SC2034,SC2154,SC2317  # gate.sh sets and uses these, and calls functions by name
# shellcheck disable=SC2015  # `a && b || refuse` is meant: refuse where either fails

MARKER=.locum-mirror        # in a tree: whose it is
KEPT=.locum-kept            # in a copy: what the last runs deleted or overwrote, a directory a run, and partial files
MIRROR_STATE=$STATE/mirror
SILENCE_SECONDS=60          # rsync: nothing moved for so long, and the run has failed
HOOK_SECONDS=600            # what `before` and `after` may take
HALT_LIMIT=300              # hundredths of a second: for a run to end when this host is to be the holder
WATCH_SECONDS=0.3           # between two looks whether this host has become the holder
LARGE_KIB=16384             # a file of more than that is taken up again where a run broke off
EXAMPLES=20                 # names of changed files that are told

# --- words and configuration ---------------------------------------------------------------------------------

mirror_words() { m_tree=$1 m_run=$2 m_since=$3 m_allowed=$4 m_discard=$5 m_progress=$6; }

mirror_defaults() {
    key_tree='' m_path='' m_mode=in_place m_keep=3 m_max_number=0 m_max_percent=50 m_bandwidth=0 m_excludes=''
    m_mounts='' m_from='' m_before='' m_after=''
}

# mirror_key KEY VALUE: a line of the host file; `mirror N` begins what there is to say of tree N.
mirror_key() {
    [ "$1" != mirror ] || { key_tree=$2; return; }
    [ "$key_tree" = "${m_tree-}" ] || return 0
    case $1 in
        mirror_path) m_path=$2 ;;
        mirror_mode) m_mode=$2 ;;
        mirror_keep) m_keep=$2 ;;
        mirror_max_number) m_max_number=$2 ;;
        mirror_max_percent) m_max_percent=$2 ;;
        mirror_bandwidth_kib) m_bandwidth=$2 ;;
        mirror_exclude) m_excludes="$m_excludes$2$newline" ;;
        mirror_mounted) m_mounts="$m_mounts$2$newline" ;;
        mirror_from) m_from=$2 ;;
        mirror_before) m_before=$2 ;;
        mirror_after) m_after=$2 ;;
        *) refuse "$CONFIG, line $line_number: unknown key" ;;
    esac
}

say_tree() { m_label="$s_name tree $m_tree ($m_path)"; m_id=$MIRROR_STATE/$s_name.$m_tree; }

# What is asked for over the wire of rsync is told on standard error, each line marked; then standard error is all
# there is to say something on.
speak_beside() { exec 3<&0 4>&1 </dev/null >&2; }

load_tree() {
    load_service
    [ -n "$m_path" ] || refuse "$s_name has no tree $m_tree here"
    say_tree
    check_epoch || refuse "$s_name: the epoch on this host cannot be read"
    mkdir -p "$MIRROR_STATE" || failed "$MIRROR_STATE cannot be made"
}

# --- is it the right directory ------------------------------------------------------------------------------

check_mounts() {
    while IFS= read -r mount; do
        [ -z "$mount" ] || mountpoint -q "$mount" || refuse "$m_label: nothing is mounted on $mount"
    done <<LIST
$m_mounts
LIST
}

# The directory is entered before it is judged, and everything is done from within: what is mounted or unmounted
# over its name afterwards does not change which one it is.
enter() { cd -P -- "$1" 2>/dev/null || refuse "$m_label: ${2:-it is not there}"; }

is_empty() { [ -z "$(find . -mindepth 1 ! -path "./$MARKER" ! -path "./$KEPT" ! -path "./$KEPT/*" -print -quit)" ]; }

# Sets marker to what the marker says, or to nothing.
read_marker() { marker=''; [ ! -f "$MARKER" ] || IFS= read -r marker <"$MARKER"; }

mark_words() { printf '%s tree %s' "$s_name" "$m_tree"; }

# write_marker DIRECTORY: in one step, from a file in that directory.
write_marker() {
    { mark_words && echo; } >"$1/$MARKER.new" && chmod 600 "$1/$MARKER.new" && mv -f "$1/$MARKER.new" "$MARKER"
} 2>/dev/null

# check_source DIRECTORY: enters it, if it is what it should be.
check_source() {
    check_mounts
    enter "$1" "the source is not there"
    read_marker
    [ -n "$marker" ] || refuse "$m_label: the source has no marker $MARKER: is it mounted? If it is the right \
directory: locum mirror $s_name --mark"
    [ "$marker" = "$(mark_words)" ] || refuse "$m_label: the source's marker says '$marker': it is another's"
    ! is_empty || refuse "$m_label: the source is empty"
}

# Enters the copy that is in use, or the empty directory where there is to be one.
check_destination() {
    check_mounts
    name=${m_path##*/} store=${m_path%/*}/.${m_path##*/}.locum made=''
    # A switch that was broken off after the first of its two renames is finished.
    [ -e "$m_path" ] || [ ! -d "$store/new/" ] || mv -fT "$store/new" "$m_path"
    if [ ! -d "$m_path" ]; then
        made=yes
        [ ! -e "$m_path" ] && [ ! -L "$m_path" ] || refuse "$m_label: it is no directory"
        [ -d "${m_path%/*}/" ] || refuse "$m_label: ${m_path%/*} is not there"
        mkdir -- "$m_path" || refuse "$m_label: cannot be made"
    fi
    enter "$m_path"
    read_marker
    [ -z "$marker" ] || [ "$marker" = "$(mark_words)" ] ||
        refuse "$m_label: the destination's marker says '$marker': it is another's"
    [ -n "$marker" ] || is_empty || refuse "$m_label: the destination is not empty and has no marker: if it may \
be overwritten: locum mirror $s_name --mark"
}

refuse_if_held() {
    list_addresses || refuse "$s_name: ip could not list the addresses"
    for address in $s_addresses; do
        ! is_held "${address%/*}" || refuse "$s_name: this host holds ${address%/*}, and nothing is mirrored onto it"
    done
}

# --- what is known of a copy --------------------------------------------------------------------------------

# store_state STATE RUN: durable, as an epoch is. `writing` while a run is at work, `whole` once it is done.
store_state() {
    new=$m_id.new
    { printf '%s %s\n' "$1" "$2" >"$new"; } && sync "$new" && mv -f "$new" "$m_id.state" && sync "$MIRROR_STATE"
} 2>/dev/null

read_state() {
    copy_state=never copy_run=0
    [ ! -e "$m_id.state" ] || read -r copy_state copy_run <"$m_id.state" || copy_state=unreadable
}

# note_moment sent|received|broken RUN: from here on a change is this host's own. By the inode's own time of
# change, which no program can set back.
note_moment() { : >"$m_id.$2.$1" && sync "$m_id.$2.$1"; } 2>/dev/null

# find_moment RUN: sets moment to the file that marks it; the latest there is for run 0.
find_moment() {
    moment=''
    if [ "$1" = 0 ]; then
        for file in "$m_id".*.sent "$m_id".*.received; do
            [ -e "$file" ] || continue
            # shellcheck disable=SC3013  # dash and busybox know -nt
            [ -n "$moment" ] && [ "$moment" -nt "$file" ] || moment=$file
        done
        return 0
    fi
    for file in "$m_id.$1.received" "$m_id.$1.sent"; do
        [ ! -e "$file" ] || { moment=$file; return; }
    done
    return 1
}

forget_old_moments() {
    for kind in sent received broken; do
        find "$MIRROR_STATE" -maxdepth 1 -name "$s_name.$m_tree.*.$kind" | sort | head -n -20 | xargs -r rm -f
    done
}

# filters: sets the positional parameters to rsync's options for what is never copied and never deleted.
with_filters() {
    command=$1
    shift
    while IFS= read -r pattern; do
        [ -z "$pattern" ] || set -- "$@" --exclude="$pattern"
    done <<LIST
/$MARKER
/$KEPT
$m_excludes
LIST
    "$command" "$@"
}

# list_changed: names of what changed in this directory since the moment, each ended by NUL, but for excluded ones.
list_changed() {
    find . \( -path "./$KEPT" -o -path "./$MARKER" \) -prune -o -cnewer "$moment" -print0 |
        sed -z 's,^\./,,' >"$m_id.changed"     # the directory itself is `.`: what went from it changed it
    [ -z "$m_excludes" ] || [ ! -s "$m_id.changed" ] || without_excluded "$m_id.changed"
}

# without_excluded FILE: leaves in it what the filters leave, for rsync itself says which names these are. It writes
# an unusual name in another way; such a name stays.
without_excluded() {
    grep -z -e '[^ -~]' -e '[\]' "$1" >"$1.unusual"
    with_filters rsync -n -r -lptgoD --out-format='%n' ./ "$m_id.nowhere/" | sed 's,/$,,' | tr '\n' '\0' |
        sort -z >"$1.copied"
    sort -z "$1" | comm -z -12 - "$1.copied" | cat - "$1.unusual" >"$1.left" && mv -f "$1.left" "$1"
    rm -f "$1.unusual" "$1.copied"
}

count_names() { tr -cd '\0' <"$1" | wc -c; }

# Names of files may hold anything; what is told of them is printable.
show_names() { head -c 65536 "$1" | tr '\n\0' '?\n' | tr -cd '[:print:]\n' | head -n "$EXAMPLES"; }

# --- before a run -------------------------------------------------------------------------------------------

list_names() {
    find . -mindepth 1 -path "./$KEPT" -prune -o -printf '%P\0' | sort -z >"$1"
}

# begin_look: one walk through the copy, while the source walks through its own: all names, those of large files, and
# what changed since the moment. It has its own way out, for a refusal must not leave it behind.
begin_look() {
    set -- -false
    [ -z "$moment" ] || set -- ! -path "./$MARKER" -cnewer "$moment" -print0
    find . -path "./$KEPT" -prune -o \( \( -path . -o -fprintf "$m_id.walked" '%P\0' \) , \
        \( -type f -size "+${LARGE_KIB}k" -fprint0 "$m_id.large" \) , "$@" \) >"$m_id.changed" 8>&- &
    look_pid=$!
    trap 'kill "$look_pid" 2>/dev/null' EXIT
}

end_look() {
    wait "$look_pid" || refuse "$m_label: the copy could not be looked through"
    trap - EXIT
    sed -z 's,^\./,,' "$m_id.changed" >"$m_id.own" && mv -f "$m_id.own" "$m_id.changed" ||
        refuse "$m_label: $MIRROR_STATE cannot be written"
    sort -z "$m_id.walked" >"$m_id.here" && rm -f "$m_id.walked" || refuse "$m_label: $MIRROR_STATE cannot be written"
    [ -z "$m_excludes" ] || [ ! -s "$m_id.changed" ] || without_excluded "$m_id.changed"
}

# The names at the source come first on the wire, with their length before them: more than that is not read.
receive_names() {
    # shellcheck disable=SC3045  # dash and busybox know -v; a line without an end ends this subshell alone
    header=$(ulimit -v "$LINE_KIB"; IFS= read -r line <&3 && printf '%.40s' "$line") ||
        refuse "$m_label: nothing came from the source"
    length=${header#names }
    case $header/$length in
        */*[!0-9]* | */ | */0?* | */??????????*) refuse "$m_label: the source sent no names" ;;
        "names $length/$length") ;;
        *) refuse "$m_label: the source sent no names" ;;
    esac
    # The source says how long its list is, and is not believed without a bound.
    free=$(df -Pk "$MIRROR_STATE" | { read -r _; read -r _ _ _ free _; echo "$free"; })
    [ "$((length / 1024))" -lt "$((${free:-0} / 2))" ] ||
        refuse "$m_label: the source would send $length bytes of names, and here is no room for them"
    head -c "$length" <&3 >"$m_id.there" && [ "$(stat -c %s "$m_id.there")" = "$length" ] ||
        refuse "$m_label: the source's names were cut short"
}

# Nobody's newer data are overwritten: what changed here since SINCE is this host's own. Sets moment, to nothing where
# all that is here may be overwritten.
since_when() {
    moment=''
    [ "$m_discard" = 0 ] && [ -z "$made" ] || return 0
    if [ "$copy_state" = writing ]; then
        # A run was broken off here. Its own work is no change; what came after, once this host was the holder, is.
        moment=$m_id.$copy_run.broken
        [ -e "$moment" ] || moment=''
    else
        find_moment "$m_since" || refuse "$m_label: nothing here tells what changed since run $m_since: \
locum mirror $s_name --discard-changes"
    fi
}

check_changes() {
    changed=$(count_names "$m_id.changed")
    [ "$changed" = 0 ] || refuse "$m_label: $changed changed on this host since it had the same data \
($(show_names "$m_id.changed" | head -n 3 | tr '\n' ' ')): see both sides, then locum mirror $s_name --discard-changes"
}

fail_run() { finish failed "$1"; }

# Sets limit, what rsync may delete at most. Names that are here and not there are all it ever could.
# check_deletions REFUSE: calls it with the reason where that is too many.
check_deletions() {
    comm -z -13 "$m_id.there" "$m_id.here" >"$m_id.gone"
    here=$(count_names "$m_id.here") gone=$(count_names "$m_id.gone")
    limit=$((here * m_max_percent / 100))
    [ "$m_max_number" = 0 ] || [ "$limit" -le "$m_max_number" ] || limit=$m_max_number
    [ "$limit" -ge "$m_allowed" ] || limit=$m_allowed
    if [ "$gone" -gt "$limit" ] && [ -n "$m_excludes" ]; then
        without_excluded "$m_id.gone"
        gone=$(count_names "$m_id.gone")
    fi
    [ "$gone" -le "$limit" ] || "$1" "$m_label: it would delete $gone of $here, and the limit is $limit \
($(show_names "$m_id.gone" | head -n 3 | tr '\n' ' ')): if that is right: locum mirror $s_name --allow-deletions $gone"
}

# --- a run, at its destination ------------------------------------------------------------------------------

# One run of a service on a host. Whoever writes has the lock, rsync too: it lasts for as long as any of them.
lock_mirror() {
    [ -d "$RUN" ] || mkdir -p "$RUN" 2>/dev/null
    { command exec 8>>"$RUN/$s_name.mirror"; } 2>/dev/null || refuse "$s_name: $RUN cannot be written"
    flock -n 8 || refuse "$s_name: another run writes on this host"
    { echo "$$" >"$RUN/$s_name.mirror.owner"; } 2>/dev/null || refuse "$s_name: $RUN cannot be written"
}

# The wire of rsync is this program's own standard input and output. Ends when the source has closed it.
WIRE="sh -c 'exec 5<&0; cat <&5 >&4 8>&- & cat <&3 8>&-; kill \$! 2>/dev/null'"

pull() {
    [ "$m_progress" = 0 ] || set -- "$@" --info=progress2
    [ "$m_bandwidth" = 0 ] || set -- "$@" --bwlimit="$m_bandwidth"
    # To be asked to keep partial files costs rsync a look for each file there is.
    ! may_be_taken_up || set -- "$@" --partial-dir="$partial"
    # Times to the nanosecond: by itself rsync takes a file of the same size and the same second for unchanged.
    exec setsid rsync -aHAX --numeric-ids --modify-window=-1 \
        --timeout="$SILENCE_SECONDS" --blocking-io --no-motd --stats --no-human-readable --rsh="$WIRE" \
        "$@" source::tree/ "$into/"
}

# Where nothing is to be deleted rsync is not told to: it could do no harm then, and need not compare each directory.
pull_in_place() {
    [ "$gone" = 0 ] || set -- "$@" --delete-delay --max-delete="$limit"
    pull --backup --backup-dir="$KEPT/$m_run" "$@"
}

pull_aside() { pull --delete-delay --link-dest="$PWD" "$@"; }

# may_be_taken_up: a file may come that is too large to be begun anew: there are large ones, or new ones of whatever
# size, or a run was broken off before this one.
may_be_taken_up() {
    [ "$copy_state" != whole ] || [ -s "$m_id.large" ] || [ -n "$(comm -z -23 "$m_id.there" "$m_id.here" | head -c 1)" ]
}

# Ends the run as soon as this host is the holder, whoever made it that.
watch_holder() {
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while sleep "$WATCH_SECONDS" & nap=$!; wait "$nap"; do
        kill -0 "$$" 2>/dev/null || exit
        list_addresses || continue
        for address in $s_addresses; do
            ! is_held "${address%/*}" || { kill -TERM "$$"; exit; }
        done
    done
}

halted() {
    trap '' TERM
    kill "$watcher_pid" 2>/dev/null
    [ -z "$rsync_pid" ] || kill -KILL "-$rsync_pid" 2>/dev/null
    [ -z "$rsync_pid" ] || wait "$rsync_pid"
    finish failed "$m_label: ended because this host is to be the holder"
}

# Sets code, rsync's exit status (rsync(1)).
run_rsync() {
    rsync_pid='' watcher_pid=''
    trap halted TERM
    with_filters "$1" &
    rsync_pid=$!
    watch_holder 3<&- 4>&- 8>&- &
    watcher_pid=$!
    exec 3<&- 4>&-      # the wire closes with rsync
    wait "$rsync_pid"
    code=$?
    trap '' TERM
    kill "$watcher_pid" 2>/dev/null
}

check_code() {
    case $code in
        0 | 24) ;;      # 24: files vanished at the source meanwhile, which is no fault of the copy
        25) finish failed "$m_label: more was to be deleted than the limit of $limit: nothing more was deleted" ;;
        *) finish failed "$m_label: rsync returned $code" ;;
    esac
}

# What a run that was broken off had of a file in part, and no later one needed.
drop_partials() { [ "$copy_state" != writing ] || rm -rf "${partial:?}" "${partial%/*}"/*.partial; }

end_whole() {
    note_moment received "$m_run" && store_state whole "$m_run" ||
        finish failed "$m_label: the end of the run could not be written down"
    rm -f "$m_id.here" "$m_id.there" "$m_id.gone" "$m_id.changed" "$m_id.large"
    forget_old_moments
}

receive_in_place() {
    into=. partial=$PWD/$KEPT/partial
    store_state writing "$m_run" || refuse "$m_label: the run could not be written down"
    # A first run that is broken off must find its own work again: the marker is there before anything that would
    # make the copy somebody's. What is kept counts for nothing, and a marker that is half-way there neither.
    { [ -d "$KEPT" ] || mkdir -m 700 "$KEPT"; } && { [ -n "$marker" ] || write_marker "$KEPT"; } ||
        finish failed "$m_label: the marker could not be written"
    run_rsync pull_in_place
    check_code
    drop_partials
    sync -f . || finish failed "$m_label: sync failed"
    prune "$KEPT" "$m_keep"
    end_whole
}

# prune DIRECTORY COUNT: the last runs stay.
prune() {
    list_runs "$1" | head -n "-$2" | while IFS= read -r old; do rm -rf "${1:?}/$old"; done
}

list_runs() {
    find "$1" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*[!0-9]*' -printf '%f\n' 2>/dev/null | sort -n
}

# Staged: a copy beside the one in use, its unchanged files linked to it; then the name is moved over, in one step.
receive_staged() {
    if [ ! -L "$m_path" ] && mountpoint -q "$m_path"; then refuse "$m_label: a mount point cannot be staged"; fi
    [ -d "$store" ] || mkdir -m 711 "$store" || refuse "$m_label: $store cannot be made"
    into=$store/$m_run.partial partial=$store/partial
    for left in "$store"/*.partial; do
        [ ! -d "$left" ] || [ "$left" = "$into" ] || mv -T "$left" "$into"   # what a broken run had done already
    done
    mkdir -p "$into" && store_state writing "$m_run" || refuse "$m_label: $into cannot be made"
    run_rsync pull_aside
    check_code
    ( cd "$into" && write_marker . && list_names "$m_id.there" ) || finish failed "$m_label: the new copy is not whole"
    check_deletions fail_run    # of what has come, not of what was to come
    sync -f "$into" && mv -T "$into" "$store/$m_run" || finish failed "$m_label: the new copy could not be named"
    switch_to "$m_run"
    drop_partials
    prune "$store" "$((m_keep + 1))"
    end_whole       # last: to link and unlink a file is a change of its inode
}

# switch_to RUN: the name of the copy becomes a link to that one, whatever it was before.
switch_to() {
    ln -sfn ".$name.locum/$1" "$store/new" || finish failed "$m_label: the link could not be made"
    [ -L "$m_path" ] || [ ! -d "$m_path" ] || mv -T "$m_path" "$store/0" ||
        finish failed "$m_label: what was there before could not be put aside"
    mv -fT "$store/new" "$m_path" && sync "${m_path%/*}" || finish failed "$m_label: the copy could not be put in use"
}

do_mirror_receive() {
    speak_beside
    greet
    load_tree
    lock_mirror
    refuse_if_held
    check_destination
    read_state
    since_when
    begin_look
    receive_names
    end_look
    check_changes
    check_deletions refuse
    case $m_mode in
        staged) receive_staged ;;
        *) receive_in_place ;;
    esac
    [ -z "$m_after" ] || run_hook "$m_after" || printf 'locum-mirror note %s\n' "after returned $?"
    finish ok
}

run_hook() { cd / && timeout -k 5 "$HOOK_SECONDS" sh -c "$1" 3<&- 4>&- 8>&-; }

# --- a run, at its source -----------------------------------------------------------------------------------

do_mirror_send() {
    speak_beside
    greet
    load_tree
    if [ "$verb" = mirror-send-mounted ]; then
        [ -n "$m_from" ] || refuse "$m_label: no mounted source is named here"
        check_source "$m_from"
    else
        [ -z "$m_before" ] || run_hook "$m_before" || finish failed "$m_label: before returned $?"
        check_source "$m_path"
        note_moment sent "$m_run" || refuse "$m_label: $MIRROR_STATE cannot be written"
        forget_old_moments
        sleep 0.02      # longer than a tick: what changes from here on has a later time than the moment
    fi
    list_names "$m_id.sent-names.$m_run"
    { echo "names $(stat -c %s "$m_id.sent-names.$m_run")" && cat "$m_id.sent-names.$m_run"; } >&4
    rm -f "$m_id.sent-names.$m_run"
    # rsync's own daemon, for one call: it reads the directory we stand in, changes its root to it, and writes nothing.
    { mkdir -p "$RUN" && cat >"$RUN/rsyncd.$s_name.$m_tree"; } <<CONF || refuse "$m_label: $RUN cannot be written"
use chroot = yes
reverse lookup = no
forward lookup = no
log file = /dev/null
uid = 0
gid = 0
[tree]
path = /proc/self/cwd
read only = yes
list = no
numeric ids = yes
munge symlinks = no
timeout = $SILENCE_SECONDS
refuse options = remove-source-files remove-sent-files copy-devices write-devices log-file
CONF
    exec rsync --server --daemon --config="$RUN/rsyncd.$s_name.$m_tree" . <&3 >&4 3<&- 4>&-
}

# --- the short verbs ----------------------------------------------------------------------------------------

do_mirror_look() {
    load_tree
    read_state
    greet
    marker='' there=no
    if [ -d "$m_path" ]; then there=yes; enter "$m_path"; read_marker; fi
    writing=no
    [ ! -e "$RUN/$s_name.mirror" ] || flock -n "$RUN/$s_name.mirror" true || writing=yes
    printf 'state %s\nrun %s\nwriting %s\nthere %s\nmarked %s\n' "$copy_state" "$copy_run" "$writing" "$there" \
        "${marker:+yes}"
    list_kept
    finish ok
}

# The runs whose files are kept.
list_kept() {
    if [ "$m_mode" = staged ]; then kept=${m_path%/*}/.${m_path##*/}.locum; else kept=$m_path/$KEPT; fi
    list_runs "$kept" | sed 's/^/kept /'
}

do_mirror_mark() {
    load_tree
    check_mounts
    greet
    mark_here "$m_path"
    finish ok
}

mark_here() {
    enter "$1"
    read_marker
    [ -z "$marker" ] || [ "$marker" = "$(mark_words)" ] || refuse "$m_label: its marker says '$marker': it is another's"
    [ -n "$marker" ] || write_marker . || failed "the marker could not be written"
}

do_mirror_changes() {
    load_tree
    find_moment "$m_run" && [ -n "$moment" ] || refuse "$m_label: nothing here tells what changed since run $m_run"
    enter "$m_path"
    list_changed
    greet
    printf 'changed %s\n' "$(count_names "$m_id.changed")"
    show_names "$m_id.changed" | sed 's/^/name /'
    finish ok
}

do_mirror_restore() {
    load_tree
    lock_mirror
    refuse_if_held
    if [ "$m_mode" = staged ]; then
        name=${m_path##*/} store=${m_path%/*}/.${m_path##*/}.locum
        [ -d "$store/$m_run" ] || refuse "$m_label: nothing is kept of run $m_run"
        switch_to "$m_run"
    else
        enter "$m_path"
        [ -d "$KEPT/$m_run" ] || refuse "$m_label: nothing is kept of run $m_run"
        rsync -aHAX --numeric-ids "$KEPT/$m_run/" ./ || failed "rsync returned $?"
    fi
    note_moment received "$m_run"
    greet
    finish ok
}

# Whoever has the lock open is ended; then it is waited for that nobody writes.
end_mirror() {
    [ -e "$RUN/$s_name.mirror" ] || return 0
    clock
    halt_by=$((now + HALT_LIMIT))
    until flock -n "$RUN/$s_name.mirror" true; do
        owner=''
        read -r owner 2>/dev/null <"$RUN/$s_name.mirror.owner"
        # shellcheck disable=SC3013  # dash and busybox know -ef
        if [ "/proc/${owner:-0}/fd/8" -ef "$RUN/$s_name.mirror" ]; then
            kill -TERM "$owner" 2>/dev/null
        else
            end_orphans
        fi
        clock
        [ "$now" -lt "$halt_by" ] || return 1
        sleep "$POLL_SECONDS"
    done
    note_broken
}

# Of each tree that a run has left unfinished: what changes from now on is this host's own.
note_broken() {
    for file in "$MIRROR_STATE/$s_name".*.state; do
        [ -e "$file" ] && read -r copy_state copy_run <"$file" && [ "$copy_state" = writing ] || continue
        m_id=${file%.state}
        [ -e "$m_id.$copy_run.broken" ] || note_moment broken "$copy_run"
    done
}

# An rsync whose gate was killed still has the lock.
end_orphans() {
    for fd in /proc/[0-9]*/fd/8; do
        # shellcheck disable=SC3013  # dash and busybox know -ef
        [ "$fd" -ef "$RUN/$s_name.mirror" ] || continue
        pid=${fd#/proc/} pid=${pid%%/*}
        [ "$pid" = "$$" ] || kill -KILL "$pid" 2>/dev/null
    done
}

do_mirror_halt() {
    load_service
    check_epoch || refuse "$s_name: the epoch on this host cannot be read"
    greet
    end_mirror || failed "a run still writes"
    finish ok
}

do_mirror() {
    case $verb in
        mirror-look) do_mirror_look ;;
        mirror-mark) do_mirror_mark ;;
        mirror-changes) do_mirror_changes ;;
        mirror-restore) do_mirror_restore ;;
        mirror-halt) do_mirror_halt ;;
        mirror-send | mirror-send-mounted) do_mirror_send ;;
        mirror-receive) do_mirror_receive ;;
    esac
}

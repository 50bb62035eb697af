#!/bin/sh
# The verbs of the mirror: a part of the gate. gate_script() in host_file.py puts it into gate.sh.
#
#   look       reports the state of this host's copy
#   mark       marks this directory as the right one
#   changes    what changed here since a run
#   restore    puts back what a run deleted or overwrote
#   halt       ends a run that writes here
#   send       the source's end of a run: rsync speaks on standard input and output
#   send-mounted    the same on the destination, of the source that is mounted there
#   receive    the destination's end
#
# Each is `mirror-VERB SERVICE EPOCH TREE RUN SINCE ALLOWED DISCARD PROGRESS`, all numbers except SERVICE; 0 if a
# value is not used. TREE counts the service's directories from 1. send and receive print their
# messages on standard error, because their standard output is rsync's. The copy is only ever pulled:
# the destination decides what it writes, deletes and keeps, and the source's rsync can read only one tree.
#
# shellcheck disable=SC2034,SC2154,SC2317  # gate.sh sets and uses these, and calls functions by name
# shellcheck disable=SC2015  # `a && b || refuse` is intended: refuse if either fails

KEPT=.locum-kept            # in a copy: what the last runs deleted or overwrote, one directory per run, and partial files
MIRROR_STATE=$STATE/mirror  # only for root: marks, states, times, and a scratch directory for each running call
SILENCE_SECONDS=60          # rsync: a run without progress for this long has failed
READING='+dac_read_search,+sys_chroot,+setuid,+setgid'   # root's capabilities that the source's rsync keeps
HOOK_SECONDS=600            # the time limit of `before` and `after`
HALT_LIMIT=300              # hundredths of a second: for a run to end when this host is to be the holder
WATCH_SECONDS=0.3           # between two checks whether this host has become the holder
SPARSE_KIB=1024             # a file of more than that may be sparse
LARGE_KIB=16384             # a larger file is resumed after an interrupted run
MOST_DELETIONS=2147483647   # the maximum of rsync's --max-delete
EXAMPLES=20                 # names of changed files that are reported

# --- words and configuration ---------------------------------------------------------------------------------

mirror_words() { m_tree=$1 m_run=$2 m_since=$3 m_allowed=$4 m_discard=$5 m_progress=$6; }

mirror_defaults() {
    key_tree='' m_path='' m_mode=in_place m_keep=3 m_max_number=0 m_max_percent=50 m_bandwidth=0 m_excludes=''
    m_mounts='' m_from='' m_before='' m_after='' m_xattrs=yes m_acls=yes m_privileges=drop
}

# mirror_key KEY VALUE: a line of the host file; `mirror N` begins the keys of tree N.
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
        mirror_xattrs) m_xattrs=$2 ;;
        mirror_acls) m_acls=$2 ;;
        mirror_privileges) m_privileges=$2 ;;
        mirror_before) m_before=$2 ;;
        mirror_after) m_after=$2 ;;
        *) refuse "$CONFIG, line $line_number: unknown key" ;;
    esac
}

say_tree() {
    m_label="$s_name tree $m_tree ($m_path)" m_id=$MIRROR_STATE/$s_name.$m_tree
    counted='! -type b ! -type c'       # for find: what is copied; devices are not
    [ "$m_privileges" != copy ] || counted=''
}

# While rsync uses standard output, messages go to standard error, each line marked.
speak_beside() { exec 3<&0 4>&1 </dev/null >&2; }

load_tree() {
    load_service
    [ -n "$m_path" ] || refuse "$s_name has no tree $m_tree here"
    say_tree
    check_epoch || refuse "$s_name: the epoch on this host cannot be read"
    { mkdir -p "$MIRROR_STATE" && chmod 700 "$MIRROR_STATE"; } 2>/dev/null || failed "$MIRROR_STATE cannot be made"
}

# begin_call: sets scratch, a directory for this call only, so that no other call of the same tree writes into its lists.
# It is removed with the call; a killed call leaves one, which the next call removes.
begin_call() {
    for left in "$MIRROR_STATE"/call.*; do
        owner=${left##*/call.} owner=${owner%%.*}
        [ ! -d "$left" ] || [ -d "/proc/$owner" ] || rm -rf "$left"
    done
    look_pid=''
    scratch=$(mktemp -d "$MIRROR_STATE/call.$$.XXXXXX" 2>/dev/null) || refuse "$m_label: $MIRROR_STATE cannot be written"
    trap 'end_call' EXIT
}

end_call() {
    [ -z "$look_pid" ] || kill "$look_pid" 2>/dev/null
    rm -rf "${scratch:?}"
}

# --- is it the right directory ------------------------------------------------------------------------------

check_mounts() {
    while IFS= read -r mount; do
        [ -z "$mount" ] || mountpoint -q "$mount" || refuse "$m_label: nothing is mounted on $mount"
    done <<LIST
$m_mounts
LIST
}

#@ gate_tree.sh
is_empty() {
    [ -z "$(find . -mindepth 1 ! -path "./$OLD_MARKER" ! -path "./$KEPT" ! -path "./$KEPT/*" -print -quit)" ]
}

# check_source DIRECTORY MARK: enters it if it is the marked one.
check_source() {
    check_mounts
    enter "$1" "the source is not there"
    read_mark "$2"
    case $marked in
        no) refuse "$m_label: the source is not marked: if it is the right directory: locum mirror $s_name --mark" ;;
        other) refuse "$m_label: the source is another directory than the one that was marked: is it mounted? If it is \
the right one: locum mirror $s_name --mark" ;;
    esac
    refuse_another
    ! is_empty || refuse "$m_label: the source is empty"
}

# Enters the copy that is in use, or the empty directory for it.
check_destination() {
    check_mounts
    made=''
    enter "${m_path%/*}" "${m_path%/*} is not there"
    [ "$m_mode" != staged ] || find_store
    name=${m_path##*/}
    if [ ! -d "$name" ]; then
        [ ! -e "$name" ] && [ ! -L "$name" ] || refuse "$m_label: it is no directory"
        mkdir -- "./$name" || refuse "$m_label: cannot be made"
        made=yes
    fi
    enter "$m_path"
    read_mark "$m_id.mark"
    [ "$marked" = yes ] || { identify; refuse_another; }
    case $marked$made in
        yes* | noyes | otheryes) ;;
        no) is_empty || refuse "$m_label: the destination is not empty and is not marked: if it may be overwritten: \
locum mirror $s_name --mark" ;;
        other) refuse "$m_label: the destination is another directory than the one that was marked: is it mounted? If \
it may be overwritten: locum mirror $s_name --mark" ;;
    esac
    [ "$marked" = yes ] || write_mark "$m_id.mark" || refuse "$m_label: $MIRROR_STATE cannot be written"
}

# find_store: sets store, the directory that has every staged copy, and finishes a switch that was interrupted after the
# first of its two renames. The working directory is that of both names: no other user may create names in it, because
# each step uses names.
find_store() {
    name=${m_path##*/} store=${PWD%/}/.${m_path##*/}.locum
    is_roots_alone "$PWD" || refuse "$m_label: staged copies need a directory around them that only root can change, and \
${m_path%/*} is none"
    [ ! -e "$store" ] && [ ! -L "$store" ] || is_roots "$store" || refuse "$m_label: $store is not root's"
    if [ -L "$name" ]; then
        case $(readlink -- "$name") in
            ".$name.locum/"*[!0-9]* | ".$name.locum/") ;;
            ".$name.locum/"*) return 0 ;;
        esac
        refuse "$m_label: it is a symbolic link that locum has not made, and a staged run would replace it: give the \
directory that it leads to as the destination"
    fi
    [ -e "$name" ] || [ ! -L "$store/new" ] || mv -fT "$store/new" "$name"
}

# is_roots DIRECTORY: a directory, no link, and root's.
is_roots() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

refuse_if_held() {
    list_addresses || refuse "$s_name: ip could not list the addresses"
    for address in $s_addresses; do
        ! is_held "${address%/*}" || refuse "$s_name: this host holds ${address%/*}, and nothing is mirrored onto it"
    done
}

# --- the state of a copy ------------------------------------------------------------------------------------

# store_state STATE RUN: durable, like an epoch. `writing` during a run, `whole` after it.
store_state() {
    new=$m_id.new
    { printf '%s %s\n' "$1" "$2" >"$new"; } && sync "$new" && mv -f "$new" "$m_id.state" && sync "$MIRROR_STATE"
} 2>/dev/null

read_state() {
    copy_state=never copy_run=0
    [ ! -e "$m_id.state" ] || read -r copy_state copy_run <"$m_id.state" || copy_state=unreadable
}

# note_moment sent|received|broken RUN: later changes are this host's own. By the change time of the inode, which
# programs cannot set back.
note_moment() { : >"$m_id.$2.$1" && sync "$m_id.$2.$1"; } 2>/dev/null

# find_moment RUN: sets moment to the file that marks it; to the latest one for run 0.
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
/$KEPT
$m_excludes
LIST
    "$command" "$@"
}

# list_changed: names of what changed in this directory since the moment, each ended by NUL, except for excluded ones.
list_changed() {
    find . -path "./$KEPT" -prune -o -cnewer "$moment" -print0 |
        sed -z 's,^\./,,' >"$scratch/changed"     # the directory itself is `.`: what went from it changed it
    [ -z "$m_excludes" ] || [ ! -s "$scratch/changed" ] || without_excluded "$scratch/changed"
}

# without_excluded FILE: removes the excluded names from it, as rsync itself lists them. rsync escapes unusual names;
# such a name stays.
without_excluded() {
    grep -z -e '[^ -~]' -e '[\]' "$1" >"$1.unusual"
    with_filters in_tree rsync -n -r -lptgoD --out-format='%n' ./ /nowhere/ | sed 's,/$,,' | tr '\n' '\0' |
        sort -z >"$1.copied"
    sort -z "$1" | comm -z -12 - "$1.copied" | cat - "$1.unusual" >"$1.left" && mv -f "$1.left" "$1"
    rm -f "$1.unusual" "$1.copied"
}

count_names() { tr -cd '\0' <"$1" | wc -c; }

# File names may contain any byte; reported names are made printable.
show_names() { head -c 65536 "$1" | tr '\n\0' '?\n' | tr -cd '[:print:]\n' | head -n "$EXAMPLES"; }

# --- before a run -------------------------------------------------------------------------------------------

list_names() {
    # shellcheck disable=SC2086  # words of ours, or none
    find . -mindepth 1 -path "./$KEPT" -prune -o $counted -printf '%P\0' | sort -z >"$1"
}

# has_holes: prints ` sparse` if a large file uses much less disk than its size. rsync reads the holes as zeros.
has_holes() {
    find . -path "./$KEPT" -prune -o -type f -size "+${SPARSE_KIB}k" -printf '%S\n' |
        awk '$1 < 0.5 { found = 1 } END { if (found) printf " sparse" }'
}

# begin_look: walks through the copy once while the source walks through its own tree: all names, those of large files,
# and what changed since the moment.
begin_look() {
    set -- -false
    [ -z "$moment" ] || set -- -cnewer "$moment" -print0
    # shellcheck disable=SC2086  # words of ours, or none
    find . -path "./$KEPT" -prune -o $counted \( \( -path . -o -fprintf "$scratch/walked" '%P\0' \) , \
        \( -type f -size "+${LARGE_KIB}k" -fprint0 "$scratch/large" \) , "$@" \) >"$scratch/changed" 8>&- &
    look_pid=$!
}

end_look() {
    wait "$look_pid" || refuse "$m_label: the copy could not be looked through"
    look_pid=''
    sed -z 's,^\./,,' "$scratch/changed" >"$scratch/own" && mv -f "$scratch/own" "$scratch/changed" &&
        sort -z "$scratch/walked" >"$scratch/here" || refuse "$m_label: $MIRROR_STATE cannot be written"
    [ -z "$m_excludes" ] || [ ! -s "$scratch/changed" ] || without_excluded "$scratch/changed"
}

# The source sends its names first, preceded by their length: no more than that is read.
receive_names() {
    # shellcheck disable=SC3045  # dash and busybox know -v; a line without an end ends this subshell alone
    header=$(ulimit -v "$LINE_KIB"; IFS= read -r line <&3 && printf '%.40s' "$line") ||
        refuse "$m_label: nothing came from the source"
    length=${header#names } sparse=''
    case $length in *' sparse') length=${length% sparse} sparse=' sparse' ;; esac
    case $header/$length in
        */*[!0-9]* | */ | */0?* | */??????????*) refuse "$m_label: the source sent no names" ;;
        "names $length$sparse/$length") ;;
        *) refuse "$m_label: the source sent no names" ;;
    esac
    # The source sends the length of its list, which is limited here.
    free=$(df -Pk "$MIRROR_STATE" | { read -r _; read -r _ _ _ free _; echo "$free"; })
    [ "$((length / 1024))" -lt "$((${free:-0} / 2))" ] ||
        refuse "$m_label: the source would send $length bytes of names, and here is no room for them"
    head -c "$length" <&3 >"$scratch/there" && [ "$(stat -c %s "$scratch/there")" = "$length" ] ||
        refuse "$m_label: the source's names were cut short"
}

# Newer data must not be overwritten: what changed here since SINCE is this host's own. Sets moment, to nothing if
# everything here may be overwritten.
since_when() {
    moment=''
    [ "$m_discard" = 0 ] && [ -z "$made" ] || return 0
    if [ "$copy_state" = writing ]; then
        # A run was interrupted here. Its own writes are not changes; later ones, when this host was the holder, are.
        moment=$m_id.$copy_run.broken
        [ -e "$moment" ] || moment=''
    else
        find_moment "$m_since" || refuse "$m_label: nothing here tells what changed since run $m_since: \
locum mirror $s_name --discard-changes"
    fi
}

check_changes() {
    changed=$(count_names "$scratch/changed")
    [ "$changed" = 0 ] || refuse "$m_label: $changed changed on this host since it had the same data \
($(show_names "$scratch/changed" | head -n 3 | tr '\n' ' ')): see both sides, then locum mirror $s_name --discard-changes"
}

fail_run() { finish failed "$1"; }

# Sets limit, the most that rsync may delete: the number of names that are here and not at the source.
# check_deletions REFUSE: calls it with the reason if that is too many.
check_deletions() {
    comm -z -13 "$scratch/there" "$scratch/here" >"$scratch/gone"
    here=$(count_names "$scratch/here") gone=$(count_names "$scratch/gone")
    limit=$((here * m_max_percent / 100))
    [ "$m_max_number" = 0 ] || [ "$limit" -le "$m_max_number" ] || limit=$m_max_number
    [ "$limit" -ge "$m_allowed" ] || limit=$m_allowed
    [ "$limit" -le "$MOST_DELETIONS" ] || limit=$MOST_DELETIONS
    if [ "$gone" -gt "$limit" ] && [ -n "$m_excludes" ]; then
        without_excluded "$scratch/gone"
        gone=$(count_names "$scratch/gone")
    fi
    [ "$gone" -le "$limit" ] || "$1" "$m_label: it would delete $gone of $here, and the limit is $limit \
($(show_names "$scratch/gone" | head -n 3 | tr '\n' ' ')): if that is right: locum mirror $s_name --allow-deletions $gone"
}

# --- a run, at its destination ------------------------------------------------------------------------------

# One run of a service on a host. All writing processes have the lock, rsync too: it lasts as long as any of them.
lock_mirror() {
    make_run_directory
    { command exec 8>>"$RUN/$s_name.mirror"; } 2>/dev/null || refuse "$s_name: $RUN cannot be written"
    flock -n 8 || refuse "$s_name: another run writes on this host"
    { echo "$$" >"$RUN/$s_name.mirror.owner"; } 2>/dev/null || refuse "$s_name: $RUN cannot be written"
}

# rsync's connection is this program's own standard input and output. Ends when the source has closed it.
WIRE="sh -c 'exec 5<&0; cat <&5 >&4 8>&- & cat <&3 8>&-; kill \$! 2>/dev/null'"

# The options that define a copy. Each is chosen here, from the host file; everything else that the other end sends is
# left out: setuid and setgid bits of files, devices, and all attributes except user.*, especially file capabilities. A
# setgid bit of a directory gives no privilege: it only sets the group of new files, which is why it is copied.
with_copy_options() {
    set -- "$@" -aHS --numeric-ids --modify-window=-1
    [ "$m_acls" = no ] || set -- "$@" --acls
    [ "$m_xattrs" = no ] || set -- "$@" --xattrs
    if [ "$m_privileges" != copy ]; then
        set -- "$@" --no-devices --chmod=u-s,Fg-s
        [ "$m_xattrs" = no ] || set -- "$@" --filter='+x user.*' --filter='-x *'
    fi
    "$@"
}

pull() {
    [ "$m_progress" = 0 ] || set -- "$@" --info=progress2
    [ "$m_bandwidth" = 0 ] || set -- "$@" --bwlimit="$m_bandwidth"
    # With the option to keep partial files rsync searches one for each file.
    # Holes are zeros on the wire: they are compressed away.
    [ -z "$sparse" ] || set -- "$@" --compress --compress-level=1
    ! may_be_taken_up || set -- "$@" --partial-dir="/tree/$partial"
    # Times to the nanosecond (--modify-window=-1): otherwise a file with the same size and second counts as unchanged.
    with_copy_options exec_in_tree rsync \
        --timeout="$SILENCE_SECONDS" --blocking-io --no-motd --stats --no-human-readable --rsh="$WIRE" \
        "$@" source::tree/ "./$into/"
}

# If nothing is to be deleted, rsync does not get the option: then it can do no harm, and need not compare each
# directory.
pull_in_place() {
    [ "$gone" = 0 ] || set -- "$@" --delete-delay --max-delete="$limit"
    pull --backup --backup-dir="$backups" "$@"
}

pull_aside() { pull --delete-delay --link-dest="/tree/$current" "$@"; }

# may_be_taken_up: whether a file may be resumed: there are large ones, or new ones of any size, or the previous run was
# interrupted.
may_be_taken_up() {
    [ "$copy_state" != whole ] || [ -s "$scratch/large" ] || [ -n "$(comm -z -23 "$scratch/there" "$scratch/here" | head -c 1)" ]
}

# Ends the run as soon as this host is the holder for any reason.
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
    exec 3<&- 4>&-      # the connection closes with rsync
    wait "$rsync_pid"
    code=$?
    trap '' TERM
    kill "$watcher_pid" 2>/dev/null
}

# 24: files vanished at the source meanwhile. A renamed file may be in the copy under neither name, so the copy is not
# complete; the note `again` makes the actuator begin another pass of the same run at once.
check_code() {
    case $code in
        0) ;;
        24) echo 'locum-mirror again'
            finish failed "$m_label: files vanished at the source while they were read" ;;
        25) finish failed "$m_label: more was to be deleted than the limit of $limit: nothing more was deleted" ;;
        *) finish failed "$m_label: rsync returned $code" ;;
    esac
}

# Partial files of an interrupted run that no later run needed.
drop_partials() { [ "$copy_state" != writing ] || in_tree rm -rf "$partial"; }

end_whole() {
    note_moment received "$m_run" && store_state whole "$m_run" ||
        finish failed "$m_label: the end of the run could not be recorded"
    forget_old_moments
}

# make_kept: the directory for what a run deletes or overwrites is in the tree, on the file system of the files. What
# another user has created at its name is not used.
make_kept() {
    # shellcheck disable=SC2016  # the inner shell's
    in_tree sh -c '
        [ -e "$1" ] || [ -L "$1" ] || mkdir -m 700 "$1"
        [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && chmod 700 "$1"' sh "$KEPT" 2>/dev/null ||
        refuse "$m_label: what is at the name $KEPT in it is not a directory of root's: move it away"
}

# A second pass of a run would overwrite the files that the first one kept: it keeps them separately, and the older
# version of each file stays.
merge_kept() {
    [ -d "$KEPT/again" ] || return 0
    in_tree mkdir -p "$KEPT/$1" && with_copy_options in_tree rsync --ignore-existing "$KEPT/again/" "$KEPT/$1/" &&
        in_tree rm -rf "$KEPT/again"
} 2>/dev/null

receive_in_place() {
    into=. partial=$KEPT/partial backups=$KEPT/$m_run
    make_kept
    [ "$copy_state" = whole ] || check_attributes "$KEPT"
    merge_kept "$copy_run" || refuse "$m_label: $KEPT cannot be written"
    store_state writing "$m_run" || refuse "$m_label: the run could not be recorded"
    [ "$copy_state" != writing ] || [ "$copy_run" != "$m_run" ] || backups=$KEPT/again
    run_rsync pull_in_place
    merge_kept "$m_run" || finish failed "$m_label: $KEPT could not be written"
    check_code
    drop_partials
    sync -f . || finish failed "$m_label: sync failed"
    prune "$KEPT" "$m_keep"
    end_whole
}

# check_attributes DIRECTORY: whether the file system of the copy keeps extended attributes. Tested with rsync
# itself, on a file whose owner it stores in one (--fake-super).
check_attributes() {
    [ "$m_xattrs" != no ] || return 0
    # shellcheck disable=SC2016  # the inner shell's
    in_tree sh -c '
        : >"$1/probe.from" && chown 65534:65534 "$1/probe.from" && rsync --fake-super -a "$1/probe.from" "$1/probe.to"
        code=$?
        rm -f "$1/probe.from" "$1/probe.to"
        exit "$code"' sh "$1" >/dev/null 2>&1 ||
        refuse "$m_label: the file system of the copy keeps no extended attributes: in the site file set xattrs: false \
(and acls: false) in the mirror of $s_name"
}

# prune DIRECTORY COUNT: keeps the last runs.
prune() {
    # shellcheck disable=SC2016  # the inner shell's
    list_runs "$1" | head -n "-$2" |
        in_tree sh -c 'cd -P "$1" && while IFS= read -r old; do rm -rf "./$old"; done' sh "$1"
}

# list_runs DIRECTORY: the runs with a directory in it.
list_runs() {
    in_tree find "$1" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*[!0-9]*' -printf '%f\n' 2>/dev/null | sort -n
}

# Staged: a second copy with hard links to the unchanged files; then the name is switched in one step.
receive_staged() {
    if [ ! -L "$m_path" ] && mountpoint -q "$m_path"; then refuse "$m_label: a mount point cannot be staged"; fi
    is_roots "$store" || mkdir -m 711 "$store" || refuse "$m_label: $store cannot be made"
    [ "$PWD" != "${store%/*}/${m_path##*/}" ] || stage_plain
    current=${PWD##*/} into=$m_run.partial partial=partial
    enter "$store"
    [ "$copy_state" = whole ] || check_attributes .
    for left in *.partial; do
        [ ! -d "$left" ] || [ "$left" = "$into" ] || mv -T "$left" "$into"   # the result of an interrupted run
    done
    mkdir -p "$into" && store_state writing "$m_run" || refuse "$m_label: $into cannot be made"
    run_rsync pull_aside
    check_code
    ( cd "./$into" && list_names "$scratch/there" ) || finish failed "$m_label: the new copy is not whole"
    check_deletions fail_run    # of what has arrived, not of what was announced
    sync -f "$into" && mv -T "$into" "$m_run" || finish failed "$m_label: the new copy could not be named"
    switch_to "$m_run"
    drop_partials
    prune . "$((m_keep + 1))"
    end_whole       # last: to link and unlink a file is a change of its inode
}

# stage_plain: the copy was a plain directory until now. It becomes the first of the staged ones, so that unchanged files
# can be linked to it: rsync has access only to the directory of staged copies.
stage_plain() {
    [ ! -e "$store/0" ] || refuse "$m_label: $store/0 is in the way: move it away"
    switch_to 0
    enter "$m_path"
    write_mark "$m_id.mark" || refuse "$m_label: $MIRROR_STATE cannot be written"
}

# switch_to RUN: the name of the copy becomes a link to that one, whatever it was before.
switch_to() {
    link=${store%/*}/${m_path##*/}
    ln -sfn ".${m_path##*/}.locum/$1" "$store/new" || finish failed "$m_label: the link could not be made"
    [ -L "$link" ] || [ ! -d "$link" ] || mv -T "$link" "$store/0" ||
        finish failed "$m_label: what was there before could not be put aside"
    mv -fT "$store/new" "$link" && sync "${store%/*}" || finish failed "$m_label: the copy could not be put in use"
}

do_mirror_receive() {
    speak_beside
    greet
    load_tree
    lock_mirror
    begin_call
    refuse_if_held
    check_destination
    check_confinement
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
    begin_call
    if [ "$verb" = mirror-send-mounted ]; then
        [ -n "$m_from" ] || refuse "$m_label: no mounted source is named here"
        check_source "$m_from" "$m_id.from.mark"
    else
        # A later pass of the same run: changes since the first one began are this host's own.
        first_pass=yes
        [ ! -e "$m_id.$m_run.sent" ] || first_pass=''
        [ -z "$m_before" ] || [ -z "$first_pass" ] || run_hook "$m_before" ||
            finish failed "$m_label: before returned $?"
        check_source "$m_path" "$m_id.mark"
        if [ -n "$first_pass" ]; then
            note_moment sent "$m_run" || refuse "$m_label: $MIRROR_STATE cannot be written"
            forget_old_moments
            sleep 0.02      # longer than a tick, so that later changes have a later time than the moment
        fi
    fi
    list_names "$scratch/names"
    { echo "names $(stat -c %s "$scratch/names")$(has_holes)" && cat "$scratch/names"; } >&4
    # rsync's own daemon, for one call: it reads the working directory, with it as its root, and writes nothing.
    # The file is the same for each call, and complete at any time.
    make_run_directory
    { cat >"$scratch/rsyncd" && mv -f "$scratch/rsyncd" "$RUN/rsyncd.$s_name.$m_tree"; } \
        <<CONF || refuse "$m_label: $RUN cannot be written"
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
    end_call
    [ "$m_privileges" != copy ] || READING=$READING,$PRIVILEGED
    exec setpriv --no-new-privs --inh-caps=-all --bounding-set="-all,$READING" -- \
        rsync --server --daemon --config="$RUN/rsyncd.$s_name.$m_tree" . <&3 >&4 3<&- 4>&-
}

# --- the short verbs ----------------------------------------------------------------------------------------

do_mirror_look() {
    load_tree
    read_state
    greet
    marked=no there=no
    if [ -d "$m_path" ]; then
        there=yes
        enter "$m_path"
        read_mark "$m_id.mark"
    fi
    printf 'state %s\nrun %s\nwriting %s\nthere %s\nmarked %s\n' \
        "$copy_state" "$copy_run" "$(is_writing && echo yes || echo no)" "$there" "${marked#no}"
    [ "$there" = no ] || list_kept
    finish ok
}

# Does a run write on this host now? Checked without taking the lock, because many checks would block runs.
is_writing() {
    for fd in /proc/[0-9]*/fd/8; do
        # shellcheck disable=SC3013  # dash and busybox know -ef
        [ ! "$fd" -ef "$RUN/$s_name.mirror" ] || return 0
    done
    return 1
}

# The runs whose files are kept.
list_kept() {
    kept=$KEPT
    if [ "$m_mode" = staged ]; then
        enter "${m_path%/*}"
        kept=.${m_path##*/}.locum
    fi
    ! is_roots "$kept" || list_runs "$kept" | sed 's/^/kept /'
}

do_mirror_mark() {
    load_tree
    check_mounts
    greet
    if [ -z "$m_from" ] || [ -d "$m_path" ]; then mark_here "$m_path" "$m_id.mark"; fi
    [ -z "$m_from" ] || mark_here "$m_from" "$m_id.from.mark"
    finish ok
}

# mark_here DIRECTORY FILE
mark_here() {
    enter "$1"
    identify
    refuse_another
    write_mark "$2" || failed "it could not be written down that $1 is the right directory"
}

# The changes of a run that writes here cannot be distinguished from others: check before and after the walk whether
# there was one.
do_mirror_changes() {
    load_tree
    begin_call
    find_moment "$m_run" && [ -n "$moment" ] || refuse "$m_label: nothing here tells what changed since run $m_run"
    enter "$m_path"
    ! is_writing || refuse "$m_label: a run writes here now: ask again when it has ended"
    read_state
    before="$copy_state $copy_run"
    list_changed
    read_state
    ! is_writing && [ "$copy_state $copy_run" = "$before" ] ||
        refuse "$m_label: a run wrote here meanwhile: ask again when it has ended"
    greet
    printf 'changed %s\n' "$(count_names "$scratch/changed")"
    show_names "$scratch/changed" | sed 's/^/name /'
    finish ok
}

do_mirror_restore() {
    load_tree
    lock_mirror
    refuse_if_held
    check_mounts
    enter "${m_path%/*}"
    [ "$m_mode" != staged ] || find_store
    enter "$m_path"
    read_mark "$m_id.mark"
    [ "$marked" = yes ] || refuse "$m_label: it is not the directory that was marked: is it mounted? If it is the right \
one: locum mirror $s_name --mark"
    check_confinement
    if [ "$m_mode" = staged ]; then
        [ -d "$store/$m_run" ] || refuse "$m_label: nothing is kept of run $m_run"
        switch_to "$m_run"
    else
        make_kept
        [ -d "$KEPT/$m_run" ] || refuse "$m_label: nothing is kept of run $m_run"
        with_copy_options in_tree rsync "$KEPT/$m_run/" ./ || failed "rsync returned $?"
    fi
    note_moment received "$m_run"
    greet
    finish ok
}

# Ends every process that has the lock open; then waits until none writes.
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

# For each unfinished tree: later changes are this host's own.
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

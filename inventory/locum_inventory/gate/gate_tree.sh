# Directories that other users may write to: how root enters, recognises and uses them. A part of the gate;
# gate_script() in host_file.py puts it into gate.sh.
#
# The owner of such a directory can put a symbolic link at any name in it, and change it at any moment. So:
#   - root reaches the directory without following a link that another user could have made (enter);
#   - the marks that identify the right directory are in root's own directory, and nothing is read from the tree;
#   - every program that writes in the tree has it as its root directory, and few of root's capabilities (in_tree).
#
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154,SC2317  # gate.sh and gate_mirror.sh set and use these, and call functions by name
# shellcheck disable=SC2015  # `a && b || refuse` is meant: refuse where either fails

OLD_MARKER=.locum-mirror    # what version 0.1.0 wrote into a tree; it is ignored now
CONFINED_ROOT=$RUN/tree     # an empty directory; each confined program has its own file system mounted on it
MOST_LINKS=40               # the kernel's limit of links in a path

# Capabilities for copying: to set owner, mode and times of a file, and to read and replace a file of any owner.
COPYING='+chown,+dac_override,+dac_read_search,+fowner,+fsetid'
# Additional ones for `privileges: copy`: devices, file capabilities, attributes that only root may set.
PRIVILEGED='+mknod,+setfcap,+sys_admin'

# --- the way to a directory ---------------------------------------------------------------------------------------

# is_roots_alone DIRECTORY: whether only root can change what is in it and in each directory above it. In a sticky
# directory no other user can rename what is root's.
is_roots_alone() {
    checked=$1
    while :; do
        case $(stat -c '%u %a' -- "${checked:-/}") in
            0\ *[2367]? | 0\ *[2367]) [ -k "$checked" ] || return 1 ;;
            0\ *) ;;
            *) return 1 ;;
        esac
        case $checked in '' | /) return 0 ;; esac
        checked=${checked%/*}
    done
}

# resolve PATH: sets resolved to the path without symbolic links. Fails at a link that a user other than root could have
# created.
resolve() {
    resolved='' rest=$1 links=0
    while [ -n "$rest" ]; do
        name=${rest%%/*}
        case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
        case $name in '' | .) continue ;; ..) resolved=${resolved%/*}; continue ;; esac
        if [ -L "$resolved/$name" ]; then
            links=$((links + 1))
            [ "$links" -le "$MOST_LINKS" ] && is_roots_alone "${resolved:-/}" &&
                [ "$(stat -c %u -- "$resolved/$name")" = 0 ] || return 1
            target=$(readlink -- "$resolved/$name") || return 1
            case $target in /*) resolved='' ;; esac
            rest=$target/$rest
            continue
        fi
        resolved=$resolved/$name
    done
    resolved=${resolved:-/}
}

# enter DIRECTORY [WHAT IF IT IS NOT THERE]. The directory is entered before it is checked, and everything is done from
# inside: mounting or unmounting over its name afterwards does not change which directory it is. PWD is the kernel's path
# of it: a path other than the resolved one means that a link was created meanwhile.
enter() {
    resolve "$1" || refuse "$m_label: $1 leads through a symbolic link that is not root's alone to change"
    cd -P -- "$resolved" 2>/dev/null || refuse "$m_label: ${2:-it is not there}"
    [ "$PWD" = "$resolved" ] || refuse "$m_label: $1 was moved or replaced meanwhile"
}

# --- which directory it is --------------------------------------------------------------------------------------

# Sets identity of this directory: inode, kind of file system, and time of birth ('-' where the file system has none).
# Device numbers change from one boot to the next. Staged, the directory is a new one after each run, and what stays is
# the one that has them all.
identify() {
    from=.
    case ${PWD%/*} in */.*.locum) [ ! -O .. ] || from=.. ;; esac
    identity="$(stat -c %i -- "$from") $(stat -f -c %t -- "$from") $(TZ=UTC0 stat -c %w -- "$from")" ||
        refuse "$m_label: it cannot be identified"
}

# is_identity TEXT: whether that is this directory's. By the time of birth, which is to the nanosecond; an overlay gives a
# directory another inode number after each mount. By the inode where the one or the other has no time of birth.
is_identity() {
    known_kind=${1#* } kind=${identity#* }
    case $known_kind/$kind in
        *' -/'* | *' -') [ "${1%% *} ${known_kind%% *}" = "${identity%% *} ${kind%% *}" ] ;;
        *) [ "$known_kind" = "$kind" ] ;;
    esac
}

# write_mark FILE: marks this directory as the right one, by order of a person (`locum mirror --mark`), or because the
# gate has created it.
write_mark() {
    identify
    printf '%s\n%s\n' "$identity" "$PWD" >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "${1%/*}"
} 2>/dev/null

# read_mark FILE: sets marked to `yes`, `no` if no directory was marked, or `other` if another one was.
read_mark() {
    marked=no
    [ -e "$1" ] || return 0
    identify
    marked=other known=''
    IFS= read -r known <"$1"
    ! is_identity "$known" || marked=yes
}

# refuse_another: refuses if this directory is marked as another one of the mirror.
refuse_another() {
    for mark in "$MIRROR_STATE"/*.mark; do
        case $mark in "$m_id.mark" | "$m_id.from.mark") continue ;; esac
        { IFS= read -r known && IFS= read -r path; } 2>/dev/null <"$mark" || continue
        is_identity "$known" || continue
        # shellcheck disable=SC3013  # dash and busybox know -ef
        [ "$path" -ef . ] || continue
        mark=${mark##*/} mark=${mark%.mark}
        refuse "$m_label: it is marked as ${mark%%.*} tree ${mark#*.}: if that is over, remove $MIRROR_STATE/$mark.mark"
    done
}

# --- work in the directory --------------------------------------------------------------------------------------

# Run with the directory as its working directory: CONFINED_ROOT, device and inode of the directory, capabilities, and
# the command. The new root has the directory and, read-only, the programs of this host; no /proc, no device but
# /dev/null. Exit code 125: it could not be made.
# shellcheck disable=SC2016  # the inner shell's
CONFINE='
    new=$1 id=$2 capabilities=$3
    shift 3
    failed() { echo "locum: $1"; exit 125; } >&2
    mount -n -t tmpfs -o size=1m,mode=755,nosuid,nodev locum "$new" &&
        mkdir "$new/tree" "$new/usr" "$new/dev" "$new/etc" || failed "a file system of its own cannot be mounted"
    put() { mount -n --bind "$1" "$new$1" && mount -n -o remount,bind,ro "$new$1" || failed "$1 cannot be mounted"; }
    put /usr
    for directory in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$directory" ]; then ln -s "$(readlink "/$directory")" "$new/$directory"
        elif [ -d "/$directory" ]; then mkdir "$new/$directory"; put "/$directory"
        fi
    done
    : >"$new/dev/null" && mount -n --bind /dev/null "$new/dev/null" || failed "/dev/null cannot be mounted"
    [ ! -e /etc/ld.so.cache ] || { : >"$new/etc/ld.so.cache"; put /etc/ld.so.cache; }
    mount -n --no-canonicalize --rbind . "$new/tree" && [ "$(stat -c %d:%i "$new/tree")" = "$id" ] ||
        failed "the directory cannot be mounted"
    mount -n -o remount,bind,ro "$new" || failed "its root cannot be made read-only"
    exec chroot "$new" setpriv --no-new-privs --inh-caps=-all --bounding-set="-all,$capabilities" -- \
        sh -c "cd /tree && exec \"\$@\"" sh "$@"
'

# exec_in_tree COMMAND...: replaces this process, with this directory as /tree, in a separate session.
exec_in_tree() {
    capabilities=$COPYING
    [ "$m_privileges" != copy ] || capabilities=$COPYING,$PRIVILEGED
    make_run_directory
    [ -d "$CONFINED_ROOT" ] || mkdir -p "$CONFINED_ROOT"
    exec setsid unshare --mount -- env -i PATH="$PATH" LC_ALL=C \
        sh -c "$CONFINE" sh "$CONFINED_ROOT" "$(stat -c %d:%i .)" "$capabilities" "$@"
}

in_tree() { ( exec_in_tree "$@" ); }

check_confinement() {
    said=$(in_tree true 2>&1) ||
        refuse "$m_label: a run cannot be confined to its directory on this host: $(printf %s "$said" | tr -c '[:print:]' ' ')"
    [ "$(cat /proc/sys/fs/protected_hardlinks 2>/dev/null)" = 1 ] ||
        refuse "$m_label: any user could link root's files into it: set the sysctl fs.protected_hardlinks to 1"
}

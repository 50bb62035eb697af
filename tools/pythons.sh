#!/bin/sh
# Runs the unit and integration tests on the supported Pythons other than that of .venv, and with the lowest declared
# versions of the dependencies. An interpreter that this machine has is taken (PATH, pyenv, /usr/local, /opt); for 3.13
# else that of Debian 13, which debootstrap unpacks into .python-3.13 (root). One that is not to be had is one line.
#
# What is run where: 3.13 all of them, because it is Debian 13's. 3.12 and 3.14 what differs between versions: threads,
# event loops, sockets, SSH, the journal, the servers and the commands. The lowest versions: what uses each library most.
# $AS_ROOT is put before the tests, for they need root.
set -eu
cd "$(dirname "$0")/.."
AS_ROOT=${AS_ROOT:-}
SUPPORTED="3.11 3.12 3.13 3.14"
WHOLE="3.13"
PARTS="tests/exporter tests/inventory/site/test_load.py tests/inventory/gate/test_ssh.py tests/inventory/gate/test_local.py
tests/inventory/gate/test_watch.py tests/inventory/logs/test_format.py tests/actuator/system/test_background.py
tests/actuator/engine/test_engine.py tests/actuator/engine/test_incident.py tests/actuator/engine/test_moves.py tests/actuator/test_server.py
tests/actuator/api/test_webhook.py tests/actuator/chain/test_watch.py tests/actuator/system/test_watchdog.py
tests/actuator/journal/test_journal.py tests/actuator/journal/test_group_commits.py tests/actuator/observation/test_service_check.py
tests/actuator/cli/test_check.py tests/actuator/cli/test_incident.py tests/actuator/cli/test_enrol.py"
LIBRARIES="tests/exporter tests/inventory/site/test_load.py tests/inventory/site/test_load_advice.py tests/inventory/gate/test_ssh.py
tests/actuator/test_server.py tests/actuator/web/test_web.py tests/actuator/cli/test_api_client.py tests/actuator/api/test_webhook.py
tests/actuator/page/test_page.py tests/actuator/system/test_netlink.py tests/actuator/chain/test_watch.py
tests/actuator/cli/test_check.py tests/actuator/cli/test_init.py tests/actuator/mirror/test_state.py"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

works() { # whether a program is Python of this version, with all that the tests need
    "$1" -c "import ssl, sqlite3, venv, ctypes, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" 2>/dev/null
}

found() { # prints an interpreter of a version
    for one in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/"python$1" \
        /usr/bin/"python$1" /usr/local/bin/"python$1" /opt/*/bin/"python$1" "$PWD/.python-$1/usr/bin/python$1-outside"; do
        if [ -x "$one" ] && works "$one" "$1"; then
            echo "$one"
            return 0
        fi
    done
    return 1
}

from_debian_13() { # unpacks Debian 13's Python into .python-3.13, to be run from outside with the libraries it came with
    root=$PWD/.python-3.13
    command -v debootstrap >/dev/null || { echo "debootstrap is not installed"; return 1; }
    # From where this machine's own packages come, if that is known.
    # shellcheck disable=SC2016  # apt-get replaces it
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep '/debian/$' | head -n 1)
    say "unpacking Debian 13's Python 3.13 into .python-3.13"
    # shellcheck disable=SC2086  # $AS_ROOT is a command with its words, or nothing; no mirror is debootstrap's own
    if ! $AS_ROOT timeout 900 debootstrap --variant=minbase --include=python3.13-venv trixie "$root.new" $mirror >&2; then
        $AS_ROOT rm -rf "$root.new"
        echo "debootstrap did not work"
        return 1
    fi
    $AS_ROOT rm -rf "$root"
    $AS_ROOT mv "$root.new" "$root"
    $AS_ROOT sh -c "cat >'$root/usr/bin/python3.13-outside' && chmod 755 '$root/usr/bin/python3.13-outside'" <<END
#!/bin/sh
exec $root/usr/lib64/ld-linux-x86-64.so.2 --library-path $root/usr/lib/x86_64-linux-gnu --argv0 "\$0" $root/usr/bin/python3.13 "\$@"
END
}

made() { # directory, interpreter, words for pip: a virtual environment that is made again when the project's needs change
    directory=$1 python=$2
    shift 2
    stamp=$directory/.setup-stamp
    if [ -e "$stamp" ] && [ -z "$(find pyproject.toml constraints.txt -newer "$stamp")" ]; then
        return 0
    fi
    say "making the virtual environment $directory"
    rm -rf "$directory"
    # Without pip of its own: that of .venv installs into it, and Debian's would ask for one package more.
    "$python" -m venv --without-pip "$directory"
    .venv/bin/python -m pip --python "$directory/bin/python" install -q "$@" >&2
    touch "$stamp"
}

tests() { # interpreter, tests
    python=$1
    shift
    # shellcheck disable=SC2086  # as above
    $AS_ROOT "$python" -m pytest -q -p no:cacheprovider -m 'not e2e and not simulation' -n 3 "$@"
}

own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
summary="$own tested by make unit and make integration"
for version in $SUPPORTED; do
    [ "$version" != "$own" ] || continue
    why=
    if ! found "$version" >/dev/null && [ "$version" = 3.13 ] && [ "$(uname -m)" = x86_64 ] &&
        { [ "$(id -u)" = 0 ] || [ -n "$AS_ROOT" ]; }; then
        why=$(from_debian_13) || why=", and $why"
    fi
    if ! python=$(found "$version"); then
        summary="$summary
$version not tested: no interpreter found$why"
        continue
    fi
    made ".venv-$version" "$python" -c constraints.txt -e '.[test]'
    say "tests on Python $version ($python)"
    if [ "$version" = "$WHOLE" ]; then
        tests ".venv-$version/bin/python"
        summary="$summary
$version tested: all unit and integration tests"
    else
        # shellcheck disable=SC2086  # a list of names
        tests ".venv-$version/bin/python" $PARTS
        summary="$summary
$version tested: what differs between versions"
    fi
done

lowest=$(.venv/bin/python tools/lowest_versions.py)
mkdir -p .setup
printf '%s\n' "$lowest" >.setup/lowest.txt
made .venv-lowest "$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" -c .setup/lowest.txt -e '.[test]'
say "tests with the lowest declared versions on Python $own"
# shellcheck disable=SC2086  # a list of names
tests .venv-lowest/bin/python $LIBRARIES
say "$summary
lowest declared versions tested on $own"

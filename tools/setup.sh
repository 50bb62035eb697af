#!/bin/sh
# Sets up everything `make demo` and `make test` need: Debian packages, then a virtual environment.
# Can be repeated: what is there already is not touched.
set -eu

cd "$(dirname "$0")/.."
VENV=.venv
PACKAGES="apache2 bind9 bind9-dnsutils chromium chromium-driver curl dash busybox debootstrap faketime fence-agents iproute2 iputils-arping iputils-ping keepalived nftables openssh-client openssh-server
procps strace prometheus prometheus-alertmanager python3-venv rsync shellcheck sudo systemd util-linux"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

missing=
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        if [ "${YES:-}" != 1 ]; then
            printf 'These Debian packages are needed:%s\nInstall them with sudo apt-get? [y/N] ' "$missing" >&2
            read -r answer || answer=
            case $answer in
                y | Y | yes) ;;
                *) echo "setup: nothing was installed; install them yourself, or run with YES=1" >&2; exit 1 ;;
            esac
        fi
    fi
    say "installing Debian packages:$missing"
    # The lab starts its own servers in its own hosts; Debian's must not start theirs on this machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod 755 $policy
        trap '$as_root rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM
    fi
    $as_root apt-get update -q >&2
    # shellcheck disable=SC2086  # a list of package names, one word each
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
fi

stamp=$VENV/.setup-stamp
if [ ! -e $stamp ] || [ -n "$(find pyproject.toml constraints.txt -newer $stamp)" ]; then
    say "making the virtual environment $VENV"
    [ -x $VENV/bin/python ] || python3 -m venv $VENV
    # Debian 12's pip is too old to install into an environment of Python 3.12 or newer (tools/pythons.sh).
    $VENV/bin/python -m pip install -q -c constraints.txt --upgrade pip >&2
    $VENV/bin/python -m pip install --progress-bar on -c constraints.txt -e '.[dev]' >&2
    touch $stamp
fi
# The lab's hosts see the checkout read-only and would compile at every start of locum what has changed since.
$VENV/bin/python -m compileall -q inventory exporter actuator lab bench sim
say "set up"

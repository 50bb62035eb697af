#!/bin/sh
# A machine for one test of `locum enrol`: own mounts, network and name; sshd on 192.0.2.1, where 192.0.2.2 is
# this machine's too. Run under `unshare -mnu`; ends with the command it is given.
# usage: enrol_machine.sh SITE_FILE COMMAND...
set -eu
site=$1
shift
upper=$(mktemp -d)
mount -t tmpfs none "$upper"
for directory in etc usr/local var/lib root; do
    mkdir -p "$upper/$directory/upper" "$upper/$directory/work"
    mount -t overlay none -o "lowerdir=/$directory,upperdir=$upper/$directory/upper,workdir=$upper/$directory/work" \
        "/$directory"
done
mount -t tmpfs none /run
mkdir -p /run/sshd
hostname enrolled
ip link set lo up
ip link add eth0 type veth peer name wire0   # the interface of the site file
ip link set eth0 up
ip link set wire0 up
ip addr add 192.0.2.1/24 dev lo
ip addr add 192.0.2.2/24 dev lo

rm -rf /root/.ssh /etc/locum /usr/local/lib/locum /etc/sudoers.d/locum-gate
rm -f /root/.bashrc /root/.profile # what a developer's start-up files do is not tested here
mkdir -p /root/.ssh /etc/locum
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/*
ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/ssh_host_ed25519_key
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nPidFile none\n' >/etc/ssh/sshd_config
printf '192.0.2.1 %s\n' "$(cat /etc/ssh/ssh_host_ed25519_key.pub)" >/run/admin_known_hosts
cp "$site" /etc/locum/locum.yml

/usr/sbin/sshd -D -E /run/sshd.log &
sshd=$!
trap 'kill "$sshd"' EXIT
tries=0
until grep -q 'Server listening' /run/sshd.log 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { cat /run/sshd.log >&2; exit 1; }
    sleep 0.05
done
"$@"

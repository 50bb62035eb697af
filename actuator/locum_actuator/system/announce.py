"""Announce a service address on the network: gratuitous ARP and unsolicited neighbour advertisements.

RFC 5227 section 3, RFC 9131. The first frame is sent before `announce` returns. A thread sends a few more, because
a frame can be lost, and clients would then use their old cache entries. The thread stops when this host no longer
has the address: more frames would direct clients away from its next holder.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from contextvars import copy_context
from functools import partial

from locum_actuator.system import netlink
from locum_actuator.system.interface_mac import mac_of
from locum_exporter.net.arp_nd_frames import gratuitous_arp, unsolicited_na
from locum_inventory.site.model import Address

log = logging.getLogger(__name__)

_Frame = tuple[Address, bytes]  # the address, and the frame that announces it
_BURST_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)  # after the first


def announce(interface: str, addresses: Sequence[Address]) -> None:
    """Announce addresses on an interface now, and again a few times in the next seconds. Needs CAP_NET_RAW.

    On an interface that is not Ethernet nothing is sent, because there is no ARP cache.
    """
    mac = mac_of(interface)
    if mac is None:
        log.info("%s is not Ethernet: nothing to announce on it", interface, extra={"event": "not_ethernet"})
        return
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    _send(wire, _frames(mac, addresses))
    # In a copy of this context, so that its log lines name the service and the incident.
    follow = partial(copy_context().run, _follow, wire, interface, addresses)
    try:
        threading.Thread(target=follow, name=f"announce-{interface}", daemon=True).start()
    except RuntimeError as fault:  # no thread is available: the first frame has to suffice
        wire.close()
        log.warning("the address was announced only once: %s", fault, extra={"event": "not_announced"})


def _frames(mac: str, addresses: Sequence[Address]) -> list[_Frame]:
    frames: list[_Frame] = []
    for address in addresses:
        if address.version == 4:
            frames += [
                (address, gratuitous_arp(mac, address)),
                (address, gratuitous_arp(mac, address, reply=True)),
            ]
        else:
            frames.append((address, unsolicited_na(mac, address)))
    return frames


def _follow(wire: socket.socket, interface: str, addresses: Sequence[Address]) -> None:
    with wire:
        for pause in _BURST_SECONDS:
            time.sleep(pause)
            here = netlink.present()
            try:
                mac = mac_of(interface)  # read again: after a failover a bond uses another card's MAC
            except OSError:
                return  # the interface no longer exists, and so neither do its addresses
            if mac is not None:
                _send(wire, _frames(mac, [address for address in addresses if address in here]))


def _send(wire: socket.socket, frames: list[_Frame]) -> None:
    for _, frame in frames:
        try:
            wire.send(frame)
        except OSError as fault:
            log.warning("an announcement could not be sent: %s", fault, extra={"event": "not_announced"})

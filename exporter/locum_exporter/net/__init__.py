"""Packets and sockets: pings, ARP and neighbour discovery, the meaning of the kernel's errors."""

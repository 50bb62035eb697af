"""Packets and sockets: pings, ARP and neighbour discovery, what the kernel's errors mean."""

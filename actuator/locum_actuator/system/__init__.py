"""This machine: addresses, ARP, child processes, locks, threads, systemd."""

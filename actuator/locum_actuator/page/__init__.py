"""The web page: what locum detects, does and would do. An open page causes no checks of hosts."""

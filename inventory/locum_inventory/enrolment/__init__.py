"""Enrolment: installing the gate and the boot guard on a host."""

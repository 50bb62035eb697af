"""What `locum up` runs on one machine: exporter, actuator, Alertmanager and Prometheus."""

"""Run the chain of `locum up` on one machine: exporter, actuator, Alertmanager and Prometheus."""

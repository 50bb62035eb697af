"""The dashboards, as programs. `python -m grafana.build` writes them to grafana/dashboards/."""

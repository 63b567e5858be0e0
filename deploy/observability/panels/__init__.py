"""The dashboards, as code: what each shows, in Python; `python -m deploy.observability.panels` writes the JSON."""

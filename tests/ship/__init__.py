"""What is shipped, held without a cluster: images, charts, cloud, dashboards, workflows, documentation."""

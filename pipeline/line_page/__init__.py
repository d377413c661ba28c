"""The page, the figures for Prometheus and the JSON of running lines; all of them read snapshots and nothing else."""

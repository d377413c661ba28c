"""The one place that knows MLflow: runs, pictures and the registered model, delivered from folders on disk.

`logs` and `batch_log` say what is handed over, `entry` keeps it as a folder, `runs` and `models` deliver that folder,
`served_model` is the script that MLflow serves. Importing this package or the first three does not import MLflow.
"""

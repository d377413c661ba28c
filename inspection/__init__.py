"""HOW a frame is compared with its goldens: torch, OpenCV and NumPy; no Prefect, no MLflow, no database."""

"""What works on this machine and what does not, each with its remedy. Nothing here changes anything."""

from pipeline.doctor.examining import examine
from pipeline.doctor.finding import Finding, Status

__all__ = ["Finding", "Status", "examine"]

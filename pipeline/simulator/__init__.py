"""A simulated line that makes populated circuit boards, good ones and ones with a defect, for demo and tests."""

from pipeline.simulator.defects import DefectKind
from pipeline.simulator.files import LineFiles, write_line
from pipeline.simulator.line import LineSimulator, SimulatedFrame

__all__ = ["DefectKind", "LineFiles", "LineSimulator", "SimulatedFrame", "write_line"]

"""Parts among frames: which pictures of a free-running camera show one, and what a part is called."""

from pipeline.parts.codes import read_code
from pipeline.parts.gating import GateSettings, PartGate
from pipeline.parts.mqtt_ids import MqttPartIds

__all__ = ["GateSettings", "MqttPartIds", "PartGate", "read_code"]

"""The project's own errors. Each message says what is wrong with which input and names what mends it."""


class GoldentwinError(Exception):
    """Base of every error that goldentwin raises on purpose; the command line prints it without a traceback."""


class RecipeError(GoldentwinError):
    """A recipe holds an unknown key or a value outside its range."""


class UnreadableImageError(GoldentwinError):
    """A file is not an image that can be decoded (truncated, empty, too large, not a file, no permission)."""


class ReferenceSetError(GoldentwinError):
    """A reference set does not exist, was altered behind our back, or its goldens were refused."""


class NotEnrolledError(ReferenceSetError):
    """The product and view have no reference set yet; `goldentwin enrol` makes one."""


class WeightsError(GoldentwinError):
    """The encoder's weights are missing, incomplete or not those the recipe names."""


class EngineError(GoldentwinError):
    """The engine that was asked for can't run on this machine."""


class TwinError(GoldentwinError):
    """A trained network is missing or damaged, or can't be trained from what was given."""


class PairsError(GoldentwinError):
    """A pair manifest can't be read: a missing column, file or box."""


class CalibrationError(GoldentwinError):
    """A calibration can't be made or used."""


class NotCalibratedError(CalibrationError):
    """No calibration is bound to the current encoder, reference set and recipe; `goldentwin calibrate` makes one."""


class InsufficientSampleError(CalibrationError):
    """The labelled sample is too small to prove the wish; the message names the number of parts needed."""


class EvaluationError(GoldentwinError):
    """Labels, masks and scores do not fit each other, so that no metric can be computed."""


class RecordsError(GoldentwinError):
    """The verdict database can't be reached, or holds another schema."""


class EvidenceError(RecordsError):
    """Pictures of flagged frames can't be kept or read: the disk is full, S3 is away, or a name leads elsewhere."""


class TrackingError(GoldentwinError):
    """MLflow can't be reached or refuses what is asked of it."""


class PromotionError(GoldentwinError):
    """There is no challenger to promote, or no champion to go back to."""


class RetentionError(GoldentwinError):
    """The retention policy can't be understood or contradicts itself, or another process is at it."""

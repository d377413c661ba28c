"""Registration: brings a frame onto the golden's coordinates, with a quality figure.

The way through the package: `registrar` asks `automatic` how much freedom the part has, `fitting` tries it with
`shifting`, `turning` or `landmarks` for a start and `refinement` for the last tenth of a pixel, on the evened grey
`views` of golden and frame.
"""

from inspection.registration.outcome import Registration, seen, warp
from inspection.registration.registrar import Registrar

__all__ = ["Registrar", "Registration", "seen", "warp"]

"""The error tree. Every message names the place (file, key, line, camera, frame) and what to do.

Each class also inherits the builtin that a caller without knowledge of this package would catch.
"""


class RetailRayError(Exception):
    """Base of every error that retail_ray raises on purpose."""


class ConfigError(RetailRayError, ValueError):
    """A setting is missing, misspelt or impossible; the message has file, line and key."""


class GeometryError(RetailRayError, ValueError):
    """A homography, polygon or line cannot be used."""


class DataError(RetailRayError, ValueError):
    """An array or record breaks the contract of the type that holds it."""


class WriterError(RetailRayError, RuntimeError):
    """A second writer wants to change what has one writer; the message names both."""


class SourceError(RetailRayError, OSError):
    """A camera's video cannot be opened, or stopped being readable; the message names the camera."""


class WeightsError(RetailRayError, OSError):
    """Model weights are missing, damaged or of another network."""


class ModelError(RetailRayError, RuntimeError):
    """A model backend refused its input or is not available on this machine."""


class TrackerError(RetailRayError, ValueError):
    """A tracker name or option is unknown, or its state cannot be restored."""


class LakeError(RetailRayError, OSError):
    """The lake cannot be read or written."""


class QueryError(RetailRayError, ValueError):
    """A question to the lake is malformed or not allowed."""


class DeliveryError(RetailRayError, OSError):
    """A sink did not take an alert, and may take it later; the message names the sink."""


class RefusedError(DeliveryError):
    """A sink will never take this alert."""


class StuckError(RetailRayError, TimeoutError):
    """A remote call did not answer in time; the message names camera and chunk."""

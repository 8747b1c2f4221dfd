"""A camera's calibration from people whom a calibrated camera sees at the same time."""

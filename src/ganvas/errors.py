"""Errors that a user can act on.

Every message is one paragraph: what is wrong (naming the file or the setting), why, and what to do
about it. The command line prints it without a traceback and exits with code 2.
"""


class GanvasError(Exception):
    """Base of every error that ganvas raises on purpose."""


class DataError(GanvasError):
    """A data source, image or pack cannot be used."""


class ConfigError(GanvasError):
    """A configuration or an argument is wrong."""


class RunError(GanvasError):
    """A run folder or checkpoint cannot be used, or a training had to stop."""

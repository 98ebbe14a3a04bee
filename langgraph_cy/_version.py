"""The one place that holds this package's version; the build reads it from here."""

__version__ = "0.1.0"

"""Helper library of the course Training from Scratch. Rooms load their dependencies when used."""

__version__ = "0.1.0"

"""Warnings of the package."""


class ParlaWarning(UserWarning):
    """Something that works but is probably not meant."""

"""`parla.common`."""

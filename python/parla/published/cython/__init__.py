"""`parla.cython`."""

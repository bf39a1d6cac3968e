"""Synthetic task graphs: made, written, read, run and checked (`graphs`, `execute`); threads that pass exceptions on (`threads`)."""

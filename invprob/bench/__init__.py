"""Sweeps: many runs from one file, the statistics over them, and their plots."""

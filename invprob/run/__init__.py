"""Runs: where names become objects, and files become tensors."""

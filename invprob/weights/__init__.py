"""Weights that others publish: the list of them, downloads, and the files pulled so far."""

"""Bridges to other libraries, each an optional extra and a module of its own."""

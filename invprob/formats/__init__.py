"""Files that scanners and laboratories write, read by the libraries of their formats."""

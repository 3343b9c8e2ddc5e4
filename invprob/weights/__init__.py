"""Published weight files: the catalogue of what there is, and how it is downloaded."""

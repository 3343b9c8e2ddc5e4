"""What trains a generator: none of it is part of the installed package."""

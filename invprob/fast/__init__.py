"""The fast forms of convolutions with weights that do not change, and their memory."""

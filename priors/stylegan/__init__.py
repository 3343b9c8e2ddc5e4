"""The StyleGAN2 generator, its statistics, and the prior that searches it."""

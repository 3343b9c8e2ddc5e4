"""Parts of `benchmark_step.py`: what a step is compared with, and how both are timed."""

"""Runs: where names become objects, and files become tensors.

`config.py` holds the settings of a run, `job.py` builds what they name, `chunks.py` has it solved,
`results.py` writes what was found, and `launch.py` starts or resumes the whole.
"""

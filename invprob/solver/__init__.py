"""The solver: one loop that joins measurements, operator and prior.

`task.py` says what is solved, `loop.py` solves it, `stages.py` and `restarts.py` call the loop more
than once, and `state.py` holds what changes meanwhile. Optimisers, rules that stop and the solution
have files of their own.
"""

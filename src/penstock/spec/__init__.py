"""What it means: the normative state machine in plain Python. Slow, complete, and the one people read.

Read `transition` first: it is the table of contents. `decide` reads and may refuse; `evolve` writes and never refuses.
"""

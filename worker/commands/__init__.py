"""What the commands do, a module for each group of them.

Nothing here imports more than click and the standard library before a command runs: `longarc --help` answers at once.
"""

"""The commands of `longarc`, one module for each group.

Heavy modules are imported inside the commands, so that `longarc --help` answers at once.
"""

"""The two forms of the tests with the marker `proof`: `make proof` runs them whole, CI in a bounded form."""

import os

#: Whether long proofs run whole.
FULL = os.environ.get("LONGARC_PROOF") == "full"

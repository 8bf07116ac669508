"""How long tests take: `make test` runs long proofs in a bounded form, and `make proof` runs them whole."""

import os

#: Whether long proofs run whole.
FULL = os.environ.get("LONGARC_PROOF") == "full"

"""Where people come from: the sources of the roster, and the resolver that makes persons and pairs of their records."""

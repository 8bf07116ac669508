"""A strict double of Microsoft Graph: it answers and refuses as Microsoft's documentation says, on loopback, in memory.

    python -m tests.doubles.graph --port 8443

`Double` is the server. `Hands` does what people do in Outlook, without the worker.
"""

from tests.doubles.graph.faults import Fault, Mishap
from tests.doubles.graph.hands import CLIENT, Hands, make_section, set_rights
from tests.doubles.graph.service import Double

__all__ = ["CLIENT", "Double", "Fault", "Hands", "Mishap", "make_section", "set_rights"]

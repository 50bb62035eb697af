"""A pytest plugin: the tests run with a guard or a repair taken out, which the environment names.

`python -m sim.mutants --tests` uses it to find the test that covers what the simulator does not find.
"""

from __future__ import annotations

import os

from sim.mutation import NAMED_BY, guards, install
from sim.repairs import REPAIRS

_name = os.environ[NAMED_BY]
if _name.isdigit():
    install(REPAIRS[int(_name)].edits)
else:
    install(next(guard for guard in guards() if guard.place == _name))

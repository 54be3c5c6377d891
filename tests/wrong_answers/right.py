"""A right answer, for tests of `check` itself."""

import math


def trials_needed(q, delta):
    return math.ceil(math.log(delta) / math.log(1 - q))

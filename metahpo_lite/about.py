"""About: what ``space.json`` says beside the space, and which names the tables can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from metahpo_lite.arguments import is_text
from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.spaces import SearchSpace

ABOUT = {  # what is known of how scores were made
    "learner": str, "metric": str, "folds": int, "seed": int, "max_rows": int | None,
    "time_limit": float | int | None, "date": str, "versions": dict, "surrogate": str,
    "added": list,
}  # fmt: skip


def checked_about(about: Any) -> dict[str, Any]:
    """Return how scores were made, as JSON holds it; a ValueError says what is bad."""
    if not isinstance(about, Mapping):
        raise ValueError(f"about: got {about!r}, accepted is an object")
    try:
        text = json.dumps(dict(about), indent=2, allow_nan=False, ensure_ascii=False)
        found = json.loads(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"about: {error}; accepted is what JSON holds") from None
    for name, kind in ABOUT.items():
        if name in found and not isinstance(found[name], kind):
            raise ValueError(f"about: {name} is {found[name]!r}, accepted is "
                             f"{getattr(kind, '__name__', kind)}")  # fmt: skip
    if not all(isinstance(name, str) for name in found.get("added", ())):
        raise ValueError(f"about: added is {found['added']!r}, accepted are names of tasks")
    return found


def check_names(space: SearchSpace) -> None:
    """Raise a ValueError about what no table of experience can hold."""
    for h in space:
        if h.name in ("config", "score", "task"):
            raise ValueError(f"space: a hyperparameter is called {h.name!r}, accepted is another "
                             "name: tables of experience have such a column")  # fmt: skip
        choices = h.choices if isinstance(h, Categorical) else ()
        for text in (h.name, *choices):
            if (isinstance(text, str) and not is_text(text)) or text in (math.inf, -math.inf):
                raise ValueError(f"space: {h.name!r} has {text!r}, accepted is text that UTF-8 "
                                 "can hold, or a finite number")  # fmt: skip

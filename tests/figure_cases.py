"""What the tests of figures look at."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from metahpo_lite.plots import STYLES, plot_race

# ------------------------------------------------------------------ labels


def overlaps(figure, axes):
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    return sum(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


START = np.linspace(1, 0.2, 30)


def race(*curves):
    figure, axes = plt.subplots()
    names = [*STYLES, *"vwxyz"]
    for name, mean in zip(names, curves, strict=False):
        plot_race(axes, name, mean, mean - 0.01, mean + 0.01)
    return figure, axes

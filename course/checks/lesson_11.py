"""Start warm: experience inside Bayesian optimization."""

import numpy as np
import pandas as pd
from numpy.random import default_rng
from scipy.stats import multivariate_normal

from course.checking import hint, numbers
from metahpo_lite import BayesianSearch, Float, MetaDataset, SearchSpace, WarmStart, run
from metahpo_lite.warmstart import COLD, NOISE


def check_1(curve):
    """Take the columns in their order, and of each row the lowest number so far; then average."""
    r, chosen = default_rng(0).random((9, 6)), [5, 1, 3, 0]
    found = numbers(curve(r.copy(), list(chosen)))
    hint(
        found.shape == (6,),
        "You took rows. Configurations are the columns: `chosen` are numbers of columns.",
    )
    hint(found.shape == (9,), "This is a number for each task. Average over tasks.")
    found = numbers(found, (4,))
    mean = r[:, chosen].mean(axis=0)
    hint(
        np.allclose(found, np.minimum.accumulate(mean)),
        "This is the lowest of the means. Each task keeps its own best trial: take the best first, then the mean.",
    )
    hint(
        np.allclose(found, mean),
        "This is the regret of each trial by itself. What counts is the best trial so far.",
    )
    hint(
        np.allclose(found, np.minimum.accumulate(r[:, chosen]).mean(axis=0)),
        "The best so far went down the tasks. Let it go along the trials of each task.",
    )
    hint(
        np.allclose(found, np.maximum.accumulate(r[:, chosen], axis=1).mean(axis=0)),
        "Regret is better when it is lower: the best so far is the smallest.",
    )
    hint(
        np.allclose(found, np.minimum.accumulate(r[:, sorted(chosen)], axis=1).mean(axis=0)),
        "The trials are made in the order of `chosen`. Leave it as it is.",
    )
    hint(
        not np.allclose(found, np.minimum.accumulate(r[:, chosen], axis=1).mean(axis=0)),
        "Try it by hand on two tasks and two trials: rows 0.5, 0.2 and 0.1, 0.4 give 0.3, then 0.15.",
    )


def check_2(gaps):
    """Go through the tasks; of all others take the mean and the covariance, then see how `belief` of the lesson uses them."""
    f = _responses()
    found = numbers(gaps(f.copy(), 3))
    hint(
        found.shape == (2, len(f)),
        "A row for each task is expected, with the gap before and after. Yours lies on its side.",
    )
    found = numbers(found, (len(f), 2))
    right = _gaps(f, 3)
    hint(_near(found, right[:, ::-1]), "First the gap before the trial, then the gap after.")
    hint(
        np.allclose(found[:, 0], _gaps(f, 3, leak=True)[:, 0]),
        "The new task is in its own prior. Take mean and covariance of the *other* tasks.",
    )
    hint(
        np.allclose(found[:, 0], _gaps(f, 3, error=np.square)[:, 0]),
        "These are squared gaps. Take the mean of their absolute values.",
    )
    before, after = found.T
    hint(
        not np.allclose(before, right[:, 0], rtol=1e-3),
        "The gap before any trial is wrong: there, the belief is the mean of the other tasks, and the gap is averaged over the whole line.",
    )
    wrong = [
        ({"back": False}, "You have the shift of the belief. Add the prior mean back."),
        (
            {"subtract": False},
            "What a trial teaches is how far its score is from the prior mean there. Subtract that first.",
        ),
        (
            {"noise": 0},
            "A score has noise: its variance is the prior variance at `t` plus NOISE.",
        ),
        (
            {"unit": True},
            "These are correlations. The belief needs the covariances, in the unit of the scores.",
        ),
    ]
    if not _near(after, right[:, 1]):  # a covariance with 1 / (n - 1) is near enough
        for change, text in wrong:
            hint(_near(after, _gaps(f, 3, **change)[:, 1]), text)
    hint(
        not _near(after, right[:, 1]),
        "Before the trial it is right, after it not. Which column of the covariance belongs to a trial at `t`?",
    )
    other = numbers(gaps(f.copy(), 0), (len(f), 2))
    hint(not _near(other, _gaps(f, 0)), "At another place the gaps are wrong. Use `t`.")


def _near(a, b):
    return np.allclose(a, b, rtol=0.02)


def _responses():
    """Return tasks of two kinds on a line of seven places."""
    rng, x = default_rng(4), np.linspace(-1, 1, 7)
    kinds = np.outer(rng.choice([-1, 1], 60), x)
    return 0.6 + kinds + 0.5 * rng.normal(size=(60, 1)) * x**2 + 0.1 * rng.normal(size=(60, 7))


def _gaps(f, t, leak=False, error=np.abs, back=True, subtract=True, noise=NOISE, unit=False):
    found = []
    for i, new in enumerate(f):
        others = f if leak else np.delete(f, i, axis=0)
        m = others.mean(axis=0)
        c = ((others - m) * (others - m)[:, [t]]).mean(axis=0)
        if unit:
            c = c / others.std(axis=0) / others.std(axis=0)[t]
        after = m * back + c / (c[t] + noise) * (new[t] - m[t] * subtract)
        found.append([error(belief - new).mean() for belief in (m, after)])
    return np.array(found)


def check_3(fast_portfolio):
    """Begin with the lesson's `greedy`, and change what is compared: the gain of each candidate, divided by its seconds."""
    rng = default_rng(28)
    r, seconds = rng.random((8, 12)), np.exp(rng.normal(size=12))
    found = numbers(fast_portfolio(r.copy(), seconds.copy(), 6), (6,)).tolist()
    right = _fast(r, seconds, 6)
    whole = numbers(fast_portfolio(r.copy(), seconds.copy(), 12), (12,))
    hint(
        len(set(found)) < 6 or len(set(whole)) < 12,
        "A configuration stands in the list twice. Each is chosen once, even when none of the others gains anything.",
    )
    wrong = [
        (
            _fast(r, np.ones(12), 6),
            "Seconds have no say in this list. Divide each gain by its seconds.",
        ),
        (_fast(r, 1 / seconds, 6), "It likes slow configurations. Divide the gain by the seconds."),
        (
            _fast(r, seconds, 6, start=2),
            "Before the first trial the regret is 1, the worst, and not 2. It matters once gains are divided.",
        ),
        (
            np.argsort((r.mean(axis=0) - 1) / seconds)[:6].tolist(),
            "You order by what each one gains alone. After each choice, ask again what the others still gain.",
        ),
        (
            _fast(r, seconds, 6, total=True),
            "You divide by the seconds of all trials so far. Divide each gain by the seconds of that trial.",
        ),
        (np.argsort(seconds)[:6].tolist(), "These are the fastest ones. Gain counts, too."),
        (
            _fast(r, seconds, 6, regret=True),
            "You divide the regret that is left. Divide by how much a configuration *lowers* it.",
        ),
    ]
    for other, text in wrong:
        hint(found == other, text)
    hint(
        found != right,
        "By hand: on one task, regrets 0.5 and 0.2, seconds 1 and 2. The gains per second are 0.5 and 0.4.",
    )


def _fast(r, seconds, n, start=1, regret=False, total=False):
    chosen, best = [], np.full((len(r), 1), float(start))
    for _ in range(n):
        left = np.minimum(best, r).mean(axis=0)
        price = seconds + seconds[chosen].sum() * total
        value = -left / price if regret else (best.mean() - left) / price
        value[chosen] = -np.inf
        chosen.append(int(value.argmax()))
        best = np.minimum(best, r[:, chosen[-1:]])
    return chosen


def check_4(trust):
    """Take the logarithm of each of the n + 1 products. That of a normal density has three parts: misfit, determinant, constant."""
    rng = default_rng(2)
    root, cold_root = rng.normal(size=(2, 3, 3))
    S, S_cold = 0.2 * root @ root.T + 0.1 * np.eye(3), cold_root @ cold_root.T + np.eye(3)
    M, z = rng.normal(size=(4, 3)), np.array([0.9, 0.1, -0.4])
    found = float(numbers(trust(S, M, S_cold, z), ()))
    right = _trust(S, M, S_cold, z)
    hint(not -1e-9 <= found <= 1 + 1e-9, "A share is between 0 and 1.")
    wrong = [
        (1 - right, "This is the share of *none*. The trust is what the known tasks have."),
        (
            _trust(S, M, S_cold, z, volume=0),
            "The lesson left a factor out that all known tasks share. *None* has another covariance: its determinant counts now.",
        ),
        (
            _trust(S, M, S_cold, z, volume=2),
            "The density has the *square root* of the determinant: half its logarithm.",
        ),
        (
            _trust(S, M, S_cold, z, each=1),
            "Each known task has the whole of 1 - cold. They share it: divide by n.",
        ),
        (
            _trust(S, M, S_cold, z, cold=1 / 5),
            "All five hypotheses begin alike. *None* begins with the share `cold`.",
        ),
        (
            _trust(S, M.mean(axis=0, keepdims=True), S_cold, z),
            "The mean of the known tasks is a task that nobody has. Weigh each of them.",
        ),
        (
            _trust(S, M, S_cold, z, best=True),
            "This is the share of the most probable task. Add up all of them.",
        ),
        (
            _trust(S, M, S, z),
            "*None* has its own covariance, `S_cold`.",
        ),
    ]
    for value, text in wrong:
        hint(np.isclose(found, value, rtol=1e-6) and not np.isclose(found, right), text)
    hint(
        not np.isclose(found, right, rtol=1e-6),
        "By hand: one trial z = 0, S = 1, S_cold = 4, cold = 1/3, known tasks at 0 and 100. The three products are as 1 to 0 to 1/2, and the trust is 2/3.",
    )
    hint(
        not np.isclose(trust(S, M, S_cold, z, cold=0.4), _trust(S, M, S_cold, z, cold=0.4)),
        "With another `cold` it is wrong. Use the one that is given.",
    )
    far = np.array([2e3, -1e3, 3e3])
    with np.errstate(all="ignore"):
        values = [trust(S, M + shift, S_cold, far) for shift in (0, far, 0.9 * far)]
    hint(
        not np.isfinite(np.asarray(values, dtype=float)).all()
        or not np.allclose(values, [0, 1, 1], atol=1e-6),
        "Where no hypothesis fits well, all densities are 0 in floating point. Stay with logarithms, and subtract the largest before `exp`.",
    )


def _trust(S, M, S_cold, z, cold=COLD, volume=1, each=None, best=False):
    def log_density(mean, S):
        log_det = np.linalg.slogdet(S)[1] / 2
        return multivariate_normal.logpdf(z, mean, S) + (1 - volume) * log_det

    share = (1 - cold) / (each or len(M))
    like = np.array([np.log(share) + log_density(m, S) for m in M])
    none = np.log(cold) + log_density(np.zeros(len(z)), S_cold)
    p = np.exp([*like, none] - max([*like, none]))
    return (p[:-1].max() if best else p[:-1].sum()) / p.sum()


def check_5(lead):
    """Begin with one seed: `run` each of the two searchers, and subtract their columns `incumbent`."""
    experience = _experience()
    task, seeds, n = _Task("new", 0.3, experience.space), (3, 4, 5), 6
    found = numbers(lead(task, experience, n, list(seeds)))
    hint(
        task.calls < 2 * n * len(seeds),
        "There are fewer trials than two searches for each seed make. Does each seed run both searchers with the whole budget?",
    )
    hint(task.calls > 2 * n * len(seeds), "There are more trials than the budgets allow.")
    hint(
        found.shape == (),
        "This is one number. Return the lead after each trial.",
    )
    hint(
        found.shape == (len(seeds), n),
        "This is a curve for each seed. Average over the seeds.",
    )
    found = numbers(found, (n,))
    curves = _curves(task, experience, n, seeds)
    right = _lead(curves, "incumbent")
    hint(
        np.allclose(found, 100 * right),
        "These are points. Leave the scores in their own unit.",
    )
    hint(np.allclose(found, -right), "Turn it around: warm minus cold, so that a lead is positive.")
    hint(
        np.allclose(found, _lead(curves, "score")),
        "These are the scores of single trials. Compare the incumbents: the best so far.",
    )
    hint(
        any(np.allclose(found, _lead(curves[i : i + 1], "incumbent")) for i in range(len(seeds))),
        "This is the lead for one of the seeds. Average over all of them.",
    )
    hint(
        not np.allclose(found, right),
        "The incumbents are not those of two new searchers. Give each its own `default_rng(seed)`, and begin each seed with new ones, without pool and meta-features.",
    )
    known = _Task("like 0", 0.3, experience.space)
    found = numbers(lead(known, experience, n, list(seeds)), (n,))
    rest = experience.without(experience.families["like 0"])
    if np.allclose(found, _lead(_curves(known, rest, n, seeds), "incumbent")):
        return
    leak = _lead(_curves(known, experience, n, seeds), "incumbent")
    hint(np.allclose(found, leak), "Here the experience holds the task itself: leave it out.")
    one = experience.subset([name for name in experience.tasks.index if name != "like 0"])
    part = _lead(_curves(known, one, n, seeds), "incumbent")
    hint(
        np.allclose(found, part),
        "The task is left out, and others of its family stay. They know too much: leave out the family.",
    )
    hint(
        True,
        "For a task that the experience holds it is wrong: use `experience.without(family)`.",
    )


class _Task:
    """A smooth function with its best at a place; it counts how often it is asked."""

    def __init__(self, name, best, space):
        self.name, self.best, self.space, self.calls = name, best, space, 0

    def evaluate(self, config):
        self.calls += 1
        return -abs(config["x"] - self.best) - 0.5 * abs(config["y"] - self.best)


def _experience():
    """Return ten tasks with their best elsewhere, and two of one family with it at 0.3."""
    rng = default_rng(5)
    space = SearchSpace([Float("x", 0, 1), Float("y", 0, 1)])
    configs = [{"x": x, "y": y} for x, y in rng.random((24, 2))]
    best = {f"other {i}": b for i, b in enumerate(rng.uniform(0.55, 0.95, 6))}
    tasks = best | {"like 0": 0.3, "like 1": 0.33}
    rows = [
        (name, number, _Task(name, b, space).evaluate(config))
        for name, b in tasks.items()
        for number, config in enumerate(configs)
    ]
    trials = pd.DataFrame(rows, columns=["task", "config", "score"])
    families = [name if name in best else "like" for name in tasks]
    index = pd.Index(tasks, name="task")
    return MetaDataset(space, configs, trials, pd.DataFrame({"family": families}, index))


def _curves(task, experience, n, seeds):
    task = _Task(task.name, task.best, task.space)  # its calls do not count
    return [
        [
            run(WarmStart(experience.space, default_rng(seed), experience), task, n),
            run(BayesianSearch(experience.space, default_rng(seed)), task, n),
        ]
        for seed in seeds
    ]


def _lead(curves, column):
    return np.mean([warm[column] - cold[column] for warm, cold in curves], axis=0)

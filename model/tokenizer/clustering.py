"""k-means with seeded k-means++ starts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
DISTANCES_AT_ONCE = 16_000_000


def kmeans(points: Points, n_centres: int, n_iterations: int, generator: np.random.Generator) -> Points:
    """Centres of clusters by Lloyd's algorithm (Lloyd 1982) from k-means++ (Arthur and Vassilvitskii 2007).

    A centre that loses all its points takes the point that is farthest from its own centre. With fewer different
    points than centres, some centres are equal.

    Args:
        points: (n, d) float32, at least one.
        n_centres: k.
        n_iterations: Rounds; it stops earlier once no point changes its centre.
        generator: Draws the first centres.

    Returns:
        (k, d) float32.
    """
    centres = first_centres(points, n_centres, generator)
    before: npt.NDArray[np.int64] | None = None
    for _ in range(n_iterations):
        nearest, distances = assign(points, centres)
        if before is not None and np.array_equal(nearest, before):
            break
        before = nearest
        sizes = np.bincount(nearest, minlength=n_centres)
        sums = np.stack([np.bincount(nearest, column, n_centres) for column in points.T.astype(np.float64)], axis=1)
        filled = sizes > 0
        centres = centres.copy()
        centres[filled] = (sums[filled] / sizes[filled, None]).astype(np.float32)
        empty = np.flatnonzero(~filled)
        if len(empty):
            farthest = np.argsort(-distances, kind="stable")[: len(empty)]
            centres[empty[: len(farthest)]] = points[farthest]
    return centres


def first_centres(points: Points, n_centres: int, generator: np.random.Generator) -> Points:
    """k-means++: each next centre is drawn with probability proportional to its squared distance to the others."""
    chosen = [int(generator.integers(len(points)))]
    distances = ((points - points[chosen[0]]) ** 2).sum(1, dtype=np.float64)
    while len(chosen) < n_centres:
        steps = np.cumsum(distances)
        if steps[-1] > 0:
            found = int(np.searchsorted(steps, generator.random() * steps[-1], side="right"))
            chosen.append(min(found, len(points) - 1))
        else:
            chosen.append(int(generator.integers(len(points))))
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(1, dtype=np.float64))
    return points[chosen]


def assign(points: Points, centres: Points) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The nearest centre of each point, ties to the first, and its squared distance: (n,) int64 and (n,) float32."""
    nearest = np.empty(len(points), np.int64)
    distances = np.empty(len(points), np.float32)
    lengths = (centres**2).sum(1)
    step = max(1, DISTANCES_AT_ONCE // len(centres))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        apart = lengths[None, :] - 2 * (part @ centres.T)
        best = apart.argmin(1)
        nearest[start : start + len(part)] = best
        distances[start : start + len(part)] = np.maximum(apart[np.arange(len(part)), best] + (part**2).sum(1), 0)
    return nearest, distances

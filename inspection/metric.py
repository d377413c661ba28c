"""Learned from harmless changes alone: which differences between two descriptors count, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

SHRINKAGE = 0.1
_LEAST_SCATTER = 1e-8
_QUERIES_AT_ONCE = 1024


def nearest(queries: torch.Tensor, bank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared Euclidean distance to, and index of, the nearest row of `bank` (M, D) for each of `queries` (Q, D)."""
    columns, norms = bank.T.contiguous(), bank.square().sum(dim=1)
    found = [torch.addmm(norms, part, columns, alpha=-2).min(dim=1) for part in torch.split(queries, _QUERIES_AT_ONCE)]
    distances = torch.cat([values for values, _ in found]) + queries.square().sum(dim=1)
    return distances.clamp_min(0), torch.cat([indices for _, indices in found])


def nearest_distances(queries: torch.Tensor, columns: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """The distances alone, (Q,): in the way of every frame, so its bank comes as columns (D, M) with squared norms."""
    parts = torch.split(queries, _QUERIES_AT_ONCE)  # or large images would take gigabytes
    least = torch.cat([torch.addmm(norms, part, columns, alpha=-2).amin(dim=1) for part in parts])
    return (least + queries.square().sum(dim=1)).clamp_min(0).sqrt()


def fit_projection(goldens: torch.Tensor, changed: Sequence[torch.Tensor], dimensions: int) -> torch.Tensor:
    """Find the linear map under which harmless changes are small and equal in all directions.

    The residual of a descriptor of a harmlessly changed golden against its nearest one on the golden itself is, by
    construction, no defect; with several goldens so is that of each against the others. Whitening by the residuals'
    covariance (shrunk towards a multiple of the identity, Ledoit & Wolf 2004) makes Euclidean distance ignore what
    light, pose and part-to-part variation do, as in linear discriminant analysis with nuisance as the within-class
    scatter. Of the whitened space the directions in which the goldens vary most are kept.

    Args:
        goldens: (G, P, C) descriptors of the goldens.
        changed: per golden (N, P, C) descriptors of its changed copies.
        dimensions: how many to keep, at most C.

    Returns:
        (C, dimensions) float32.
    """
    residuals = [_residual(copies.flatten(0, 1), golden) for golden, copies in zip(goldens, changed, strict=True)]
    scatter = torch.stack([r.T @ r / len(r) for r in residuals]).mean(dim=0)
    if len(goldens) > 1:
        among = [_residual(golden, _others(goldens, index)) for index, golden in enumerate(goldens)]
        scatter = (scatter + torch.stack([r.T @ r / len(r) for r in among]).mean(dim=0)) / 2
    channels = scatter.shape[0]
    scatter = scatter + SHRINKAGE * scatter.diagonal().mean().clamp_min(_LEAST_SCATTER) * torch.eye(channels)
    values, vectors = torch.linalg.eigh(scatter.double())
    whitening = (vectors * values.rsqrt()).float()
    white = goldens.flatten(0, 1) @ whitening
    _, axes = torch.linalg.eigh(torch.cov(white.T).double())
    return torch.mm(whitening, axes[:, -dimensions:].float()).contiguous()


def choose_spread(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Indices of `count` rows (of (M, D)) that cover all of them: greedy k-centre (Sener & Savarese 2018)."""
    if count >= len(rows):
        return torch.arange(len(rows))
    chosen = [0]
    norms = rows.square().sum(dim=1)
    gap = norms + norms[0] - 2 * (rows @ rows[0])
    for _ in range(count - 1):
        farthest = int(gap.argmax())
        chosen.append(farthest)
        torch.minimum(gap, norms + norms[farthest] - 2 * (rows @ rows[farthest]), out=gap)
    return torch.tensor(chosen)


def _residual(queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    _, index = nearest(queries, bank)
    return torch.sub(queries, bank[index])


def _others(goldens: torch.Tensor, index: int) -> torch.Tensor:
    return torch.cat([golden for other, golden in enumerate(goldens) if other != index])

"""Makes the optimizers of an SB3 model faster. The updates are the same, apart from rounding."""

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

_FUSABLE = (torch.optim.Adam, torch.optim.AdamW)


def make_fast(model: BaseAlgorithm) -> None:
    """Set Adam optimizers to update all parameters in one call. The model must not be trained yet."""
    optimizers = [getattr(module, "optimizer", None) for module in model.policy.modules()]
    for optimizer in [*optimizers, getattr(model, "ent_coef_optimizer", None)]:
        if isinstance(optimizer, _FUSABLE):
            for group in optimizer.param_groups:
                group.update(fused=True, foreach=False)
